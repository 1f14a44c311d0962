"""What `strop demo` says after its table."""

import io

import pytest
from rich.console import Console

from strop.cli.demo import print_next


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (".strop", "  strop artifacts ls                   every stage's artifact,"),
        ("tried", "  strop artifacts ls --store tried     every stage's artifact,"),
        ("a/long/one", "  strop artifacts ls --store a/long/one  every stage's artifact,"),
    ],
)
def test_the_command_to_try_next_finds_the_demo_s_store(monkeypatch, place, line):
    monkeypatch.delenv("STROP_STORE", raising=False)
    told = io.StringIO()
    print_next(Console(file=told), place)
    assert line in told.getvalue()
