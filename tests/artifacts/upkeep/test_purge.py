"""Erasing a passage: its text is nowhere in the store, and what learnt from it is named."""

import html

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from strop.artifacts import pins
from strop.artifacts.errors import Busy, NotFound, StoreError
from strop.artifacts.manifest import Recipe
from strop.artifacts.notes import notes
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.artifacts.upkeep.collect import collect
from strop.artifacts.upkeep.plan import Policy
from strop.artifacts.upkeep.purge import purge
from strop.artifacts.upkeep.purge_plan import PurgePlan, purge_plans, quotes
from strop.artifacts.verify import verify
from tests.store_world import PASSAGES, World, store_world

GONE = "p5"
"""A negative of both rounds, which the report quotes."""


@pytest.fixture
def world(roomy_location: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(pins, "pinned", lambda root: set())
    return store_world(roomy_location)


def only_plan(store: Store, passage: str = GONE) -> PurgePlan:
    (plan,) = purge_plans(store, passage)
    return plan


def texts(store: Store) -> list[str]:
    """Every file in the store, or copy of one, that has the passage's text in any table or page."""
    found = []
    for root in {store.root, store.local}:
        for path in root.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            if path.name.endswith(".parquet"):
                content = str(pq.read_table(pa.BufferReader(content)).to_pylist()).encode()
            if PASSAGES[GONE].encode() in content:
                found.append(str(path))
    return found


def test_the_plan_names_what_holds_the_text_and_what_learnt_from_it(world: Store) -> None:
    plan = only_plan(world)
    parts = Run(world, "tiny").parts()
    assert [item.kind for item in plan.rewritten] == ["dataset", "tokens"]
    assert {item.kind for item in plan.erased} == {"embeddings", "index", "report"}
    assert plan.trained == {
        ("reranker", parts["round-001"]["reranker"].id): "in its training",
        ("reranker", parts["round-002"]["reranker"].id): "in its training",
    }
    assert {"candidates", "scores", "negatives"} <= {item.kind for item in plan.mentions}
    assert plan.copies == []
    assert len(texts(world)) == 2 * len({world.root, world.local})


def test_a_reranker_that_only_descends_from_one_is_named_so(world: Store) -> None:
    plan = only_plan(world, "p1")  # a positive of q2 and, in round 1 alone, a negative of q1
    assert set(plan.trained.values()) == {"in its training"}
    plan = only_plan(world, "p4")  # in nobody's training
    assert plan.trained == {}


def test_after_a_purge_the_text_is_nowhere_and_the_store_is_whole(world: Store) -> None:
    old = Run(world, "tiny").parts()["prepare"]
    replaced = purge(world, only_plan(world))
    assert texts(world) == []
    new = world.manifest(replaced[old["dataset"].id])
    assert world.table(new, "corpus")["passage_id"].to_pylist() == ["p0", "p1", "p2", "p3", "p4"]
    assert new.summary["passages"] == 5
    tokens = world.manifest(replaced[old["tokens"].id])
    assert world.table(tokens, "passages")["id"].to_pylist() == ["p0", "p1", "p2", "p3", "p4"]
    assert tokens.id == Recipe("tokens", "tokenize", 1, {}, {"dataset": new.ref}).id
    assert not any(defects for _, defects in verify(world, world.artifacts(), deep=True))
    with pytest.raises(NotFound, match="in no data set"):
        purge_plans(world, GONE)


def test_what_was_erased_says_so_and_is_not_made_again(world: Store) -> None:
    old = Run(world, "tiny").parts()["prepare"]
    replaced = purge(world, only_plan(world))
    new = replaced[old["dataset"].id]
    with pytest.raises(NotFound, match=f"was erased on .*; use dataset {new.id} instead"):
        world.manifest(old["dataset"])
    with pytest.raises(StoreError, match=r"was erased on .*; use dataset"):
        world.lookup(Recipe("dataset", "import beir", 1, {}, {}))
    with pytest.raises(NotFound, match="start a new run over the data set"):
        world.manifest(old["index"])


def test_rerankers_that_saw_it_are_marked_by_its_digest(world: Store) -> None:
    purge(world, only_plan(world))
    ref = Run(world, "tiny").parts()["round-001"]["reranker"]
    (note,) = notes(world, ref)
    assert note["seen"] == "in its training"
    assert GONE not in str(note)


def test_a_purge_that_was_killed_is_finished_by_the_next(
    world: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from strop.artifacts.upkeep import purge as purging

    bury, buried = purging._bury, []

    def killed(*arguments: object) -> None:
        if len(buried) == 2:
            raise KeyboardInterrupt
        buried.append(bury(*arguments))

    plan = only_plan(world)
    monkeypatch.setattr(purging, "_bury", killed)
    with pytest.raises(KeyboardInterrupt):
        purge(world, plan)
    monkeypatch.setattr(purging, "_bury", bury)
    assert len(only_plan(world).erased) == len(plan.erased) - 2
    purge(world, only_plan(world))
    assert texts(world) == []
    assert len(notes(world, Run(world, "tiny").parts()["round-001"]["reranker"])) == 1


def test_what_a_process_uses_is_not_taken_from_under_it(
    world: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ("tokens", Run(world, "tiny").parts()["prepare"]["tokens"].id)
    monkeypatch.setattr(pins, "pinned", lambda root: {key})
    with pytest.raises(Busy, match=f"tokens {key[1]}: a running process uses it"):
        purge(world, only_plan(world))
    assert len(texts(world)) == 2 * len({world.root, world.local})


@pytest.mark.parametrize("written", ["{}", "<p>{}</p>"])
def test_a_quotation_is_seen_though_it_is_escaped(world: Store, written: str) -> None:
    text = 'if a < b & c > "d": a text of more than forty letters, and so on'
    page = written.format(html.escape(text) if "<" in written else text)
    made = World(world).commit("report", "quote", files={"report.html": page.encode()})
    assert quotes(world, made, [text])
    assert not quotes(world, made, ["another text of more than forty letters altogether"])


def test_tombstones_outlive_garbage_collection(world: Store) -> None:
    old = Run(world, "tiny").parts()["prepare"]
    purge(world, only_plan(world))
    collect(world, Policy(keep_days=0, grace_seconds=0))
    with pytest.raises(NotFound, match="was erased"):
        world.manifest(old["dataset"])
