"""A ref moves only by compare-and-swap, and keeps every value it had."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.artifacts import refs
from strop.artifacts.errors import Conflict, StoreError
from strop.artifacts.store import Store
from tests.artifacts.test_durable import in_threads


def test_a_ref_never_set_has_generation_zero(store: Store) -> None:
    assert refs.read(store, "champion") == refs.Ref("champion", 0, None)
    assert refs.history(store, "champion") == []


def test_a_ref_moves_and_keeps_its_history(store: Store) -> None:
    first = refs.move(store, refs.read(store, "champion"), {"reranker": "a1"})
    second = refs.move(store, first, {"reranker": "b2"})
    assert refs.read(store, "champion") == second
    values = [(item.generation, item.value["reranker"]) for item in refs.history(store, "champion")]
    assert values == [(1, "a1"), (2, "b2")]
    assert "moved" in second.value


def test_who_looked_before_the_last_move_is_refused(store: Store) -> None:
    seen = refs.read(store, "champion")
    refs.move(store, seen, {"reranker": "a1"})
    with pytest.raises(Conflict, match="champion champion: moved by someone else since move 0"):
        refs.move(store, seen, {"reranker": "b2"})
    assert refs.read(store, "champion").value["reranker"] == "a1"


def test_of_many_movers_who_saw_the_same_one_wins(store: Store) -> None:
    seen, won = refs.read(store, "champion"), []

    def move(number: int) -> None:
        try:
            won.append(refs.move(store, seen, {"number": number}).value["number"])
        except Conflict:
            return

    in_threads(8, move)
    assert [item.value["number"] for item in refs.history(store, "champion")] == won
    assert len(won) == 1


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(["look a", "look b", "move a", "move b"]), max_size=10))
def test_the_history_is_the_moves_of_those_who_saw_the_newest_value(steps: list[str]) -> None:
    """Two people look and move in any order; a model with one counter says who may move."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        seen = {who: refs.read(store, "champion") for who in "ab"}
        expected: list[str] = []
        for step in steps:
            verb, who = step.split()
            if verb == "look":
                seen[who] = refs.read(store, "champion")
            elif seen[who].generation == len(expected):
                seen[who] = refs.move(store, seen[who], {"by": who})
                expected.append(who)
            else:
                with pytest.raises(Conflict):
                    refs.move(store, seen[who], {"by": who})
        assert [item.value["by"] for item in refs.history(store, "champion")] == expected


@pytest.mark.parametrize("name", ["", "..", "a/b", "../x", "Champion", "-x", "x\n", "x" * 65])
def test_a_name_that_is_no_plain_folder_name_is_refused(name: str, store: Store) -> None:
    with pytest.raises(StoreError, match="expected lower-case letters"):
        refs.read(store, name)
    with pytest.raises(StoreError, match="expected lower-case letters"):
        refs.move(store, refs.Ref(name, 0, None), {})
    assert not (store.root / "refs").exists()
