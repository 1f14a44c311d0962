import errno
import json
import os
from pathlib import Path

import pytest
from rich.table import Table

from strop.cli.output import console, no_access, print_json


@pytest.fixture
def owner(monkeypatch):
    """Rights as the owner has them by a file's mode, also where the tests run as root."""

    def access(path, wanted):
        return Path(path).stat().st_mode >> 6 & wanted == wanted

    monkeypatch.setattr(os, "access", access)


@pytest.mark.parametrize(
    ("mode", "name", "what"),
    [
        (0o000, "", "cannot be read"),
        (0o555, "", "cannot be written"),
        (0o555, "new/file", "cannot be used, because the folder {0} cannot be written"),
        (0o000, "new", "cannot be used, because the folder {0} cannot be entered"),
    ],
)
@pytest.mark.usefixtures("owner")
def test_a_place_without_rights_is_told_with_what_was_wanted_of_it(tmp_path, mode, name, what):
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(mode)
    place = str(folder / name)
    error = PermissionError(errno.EACCES, "Permission denied", place)
    told = f"{place}: {what.format(folder)} (Permission denied); expected a place that this user"
    assert (no_access(error) or "").startswith(told)


def test_an_object_store_that_refuses_is_no_folder():
    error = PermissionError(errno.EACCES, "access denied", "s3://bucket/a")
    assert (no_access(error) or "").startswith("s3://bucket/a: cannot be reached (access denied)")
    assert no_access(FileNotFoundError(errno.ENOENT, "No such file", "a")) is None


def test_brackets_in_what_is_printed_are_no_markup(capsys):
    table = Table("[/runs].trec", box=None)
    table.add_row("a [citation needed] b")
    for told in ("figure  /tmp/p[red].html", table):
        console().print(told)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["figure  /tmp/p[red].html", "[/runs].trec", "a [citation needed] b"]


def test_a_path_is_whole_in_a_pipe(capsys):
    console().print(f"model    /{'deep/' * 40}model")
    assert capsys.readouterr().out == f"model    /{'deep/' * 40}model\n"


def test_json_has_no_infinity_which_others_cannot_read(capsys):
    print_json({"smallest": [float("inf"), 0.5], "nan": float("nan"), "none": None, "yes": True})
    found = {"smallest": [None, 0.5], "nan": None, "none": None, "yes": True}
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == found
