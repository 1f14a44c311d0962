"""What `strop round` tells to do next."""

from pathlib import Path

from strop.cli.runs import compared_with
from tests.store_world import store_world


def test_a_branch_is_compared_with_a_round_that_the_run_has_or_has_to_make(tmp_path, monkeypatch):
    monkeypatch.setenv("STROP_STORE", str(tmp_path))
    store, config = store_world(tmp_path), Path("tiny.yaml")
    made = compared_with(store, "tiny", "tiny.hot", 2, config)
    assert made == "strop compare tiny:2 tiny.hot:2"
    to_make = compared_with(store, "tiny", "tiny.hot", 3, config)
    assert to_make == ("strop round tiny.yaml --round 3, then strop compare tiny:3 tiny.hot:3")
