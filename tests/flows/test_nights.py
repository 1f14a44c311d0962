"""Which night stands in for a run that nobody has started."""

import pytest

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.flows.nights import nights_of, or_night

FIRST, SECOND, THIRD = "tiny.0000000b", "tiny.0000000a", "tiny.0000000c"


@pytest.fixture
def store(tmp_path) -> Store:
    """Three nights of a config, of which the last has decided nothing; a branch; another config."""
    store = Store(tmp_path / "store")
    names = [FIRST, SECOND, THIRD, "tiny.hot", "tiny-er.0000000d"]
    for hour, name in enumerate(names):
        run = Run(store, name)
        with run.lease() as lease:
            run.claim({"name": name})
            parts = ("prepare",) if name == THIRD else ("prepare", "promote")
            for part in parts:
                run.record(lease, part, {"decision": ArtifactRef("decision", "d" * 16, "d" * 64)})
        (run.folder / "started").write_text(f"2026-01-01T0{hour}:00:00+00:00")
    return store


def test_nights_are_those_of_this_config_the_newest_first(store):
    assert [run.name for run in nights_of(store, "tiny")] == [THIRD, SECOND, FIRST]


def test_the_newest_night_with_the_part_stands_in(store):
    assert or_night(store, "tiny", with_part="prepare") == THIRD
    assert or_night(store, "tiny", with_part="promote") == SECOND
    assert or_night(store, "other", with_part="promote") == "other"


def test_a_run_that_was_started_stands_for_itself(store):
    Run(store, "tiny").claim({"name": "tiny"})
    assert or_night(store, "tiny", with_part="promote") == "tiny"
