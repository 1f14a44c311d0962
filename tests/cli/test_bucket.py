"""What the command line says of stores in buckets."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.s3 import Plan
from strop.artifacts.store import Store
from strop.cli.artifacts.command import artifacts_app
from strop.cli.main import main
from tests.store_world import World


def refused(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["strop", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_server_without_conditional_writes_is_one_line(proxied, s3, monkeypatch, capsys):
    Store(f"{proxied}/x").root.joinpath("y/store.json").write_text('{"strop_store": 1}')
    s3.plan(Plan(blind=("If-None-Match", "If-Match")))
    line = refused(monkeypatch, capsys, "artifacts", "ls", "--store", f"{proxied}/x/y")
    assert line.startswith(f"error: store {proxied}/x/y: its server ignores conditional writes")


def test_a_command_that_only_looks_makes_no_store(bucket, monkeypatch, capsys):
    line = refused(monkeypatch, capsys, "artifacts", "ls", "--store", bucket)
    assert line == f"error: store {bucket}: no such store; give --store"


def test_an_address_with_credentials_is_refused_and_not_repeated(monkeypatch, capsys):
    line = refused(monkeypatch, capsys, "artifacts", "ls", "--store", "s3://key:secret@b/x")
    assert "credentials come from the environment" in line
    assert "secret" not in line


def test_a_server_that_is_not_there_is_one_line(bucket, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("strop.artifacts.backends.bucket.TRIES", 1)
    line = refused(monkeypatch, capsys, "artifacts", "ls", "--store", f"{bucket}/none")
    assert "cannot be reached" in line


def test_artifacts_are_shown_pinned_and_collected(bucket):
    World(Store(bucket)).commit("dataset", "import beir", files={"a.txt": b"text"})

    def run(*arguments):
        done = CliRunner().invoke(artifacts_app, [*arguments, "--store", bucket])
        assert done.exit_code == 0, done.output
        return done.stdout

    (item,) = json.loads(run("ls", "--json"))
    assert f"{bucket}/objects/dataset/{item['id']}/" in run("show", item["id"])
    assert "pinned" in run("pin", item["id"])
    assert "none damaged" in run("verify", "--deep")
    assert "would delete 0 artifacts" in run("gc", "--keep-days", "0", "--imports")
