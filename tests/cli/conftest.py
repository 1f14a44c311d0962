"""A store of a finished run, and `strop artifacts` on it in this process."""

import json

import pytest
from typer.testing import CliRunner

from strop.cli.artifacts.command import artifacts_app
from tests.store_world import store_world


@pytest.fixture(scope="session")
def looked_at(tmp_path_factory):
    """A store that tests only look at."""
    return store_world(tmp_path_factory.mktemp("world") / "store")


@pytest.fixture
def world(tmp_path):
    """A store of one's own."""
    return store_world(tmp_path / "store")


@pytest.fixture
def artifacts():
    """Run `strop artifacts …` on a store; ``code`` is the exit code that is expected."""

    def run(store, *arguments, code=0):
        command = [*map(str, arguments), "--store", str(store.root)]
        done = CliRunner().invoke(artifacts_app, command, catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done

    return run


@pytest.fixture
def told(artifacts):
    """What `strop artifacts … --json` prints."""

    def run(store, *arguments, code=0):
        return json.loads(artifacts(store, *arguments, "--json", code=code).stdout)

    return run
