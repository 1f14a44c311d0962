"""Erasing a passage: its text is nowhere in the store, and what learnt from it is named."""

import html
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from strop.artifacts import durable, pins
from strop.artifacts.backends.location import StorePath
from strop.artifacts.errors import Busy, NotFound, StoreError
from strop.artifacts.manifest import Manifest, Recipe
from strop.artifacts.notes import notes
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.artifacts.upkeep.collect import collect
from strop.artifacts.upkeep.plan import Policy
from strop.artifacts.upkeep.purge import Replaced, purge
from strop.artifacts.upkeep.purge_plan import PurgePlan, mentions, purge_plans, quotes
from strop.artifacts.verify import verify
from strop.pipeline.reporting.blocks import Grid
from strop.pipeline.reporting.examples import shortened
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


def purge_one(store: Store, passage: str = GONE) -> Replaced:
    ((_, replaced),) = purge(store, passage)
    return replaced


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
    replaced = purge_one(world)
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
    replaced = purge_one(world)
    new = replaced[old["dataset"].id]
    with pytest.raises(NotFound, match=f"was erased on .*; use dataset {new.id} instead"):
        world.manifest(old["dataset"])
    with pytest.raises(StoreError, match=r"was erased on .*; use dataset"):
        world.lookup(Recipe("dataset", "import beir", 1, {}, {}))
    with pytest.raises(NotFound, match="start a new run over the data set"):
        world.manifest(old["index"])


def test_rerankers_that_saw_it_are_marked_by_its_digest(world: Store) -> None:
    purge_one(world)
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
        purge(world, GONE)
    monkeypatch.setattr(purging, "_bury", bury)
    assert len(only_plan(world).erased) == len(plan.erased) - 2
    purge_one(world)
    assert texts(world) == []
    assert len(notes(world, Run(world, "tiny").parts()["round-001"]["reranker"])) == 1


@pytest.mark.parametrize("last", [False, True])
def test_files_that_a_purge_left_which_was_killed_without_their_manifest_go_with_the_next(
    world: Store, monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    """Of a report, which the next plan no longer names, and of the data set, the last to go."""
    from strop.artifacts.upkeep import purge as purging

    empty, kind = purging._empty, "dataset" if last else "report"

    def killed(home: StorePath) -> None:
        if home.parent.name == kind:
            raise KeyboardInterrupt
        empty(home)

    monkeypatch.setattr(purging, "_empty", killed)
    with pytest.raises(KeyboardInterrupt):
        purge(world, GONE)
    monkeypatch.setattr(purging, "_empty", empty)
    assert texts(world)
    if last:
        with pytest.raises(NotFound, match="in no data set"):
            purge(world, GONE)
    else:
        purge_one(world)
    assert texts(world) == []


def test_what_a_process_uses_is_not_taken_from_under_it(
    world: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ("tokens", Run(world, "tiny").parts()["prepare"]["tokens"].id)
    monkeypatch.setattr(pins, "pinned", lambda root: {key})
    with pytest.raises(Busy, match=f"tokens {key[1]}: .*process .* it"):
        purge_one(world)
    assert len(texts(world)) == 2 * len({world.root, world.local})


def test_a_pin_that_only_its_heartbeat_tells_of_is_named_with_its_folder(
    world: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reboot nobody can say whether such a process is there."""
    tokens = Run(world, "tiny").parts()["prepare"]["tokens"]
    folder = world.root / "pins" / "0-of-an-earlier-start"
    holder = {"host": "vm another-start 1", "pid": 41, "started": 0.0, "token": "t"}
    durable.create(folder / "holder.json", json.dumps(holder).encode())
    durable.create(folder / tokens.kind / tokens.id, b"")
    key = (tokens.kind, tokens.id)
    monkeypatch.setattr(pins, "pinned", lambda root: {key} if folder.exists() else set())
    words = f"tokens {tokens.id}: process 41 on vm uses it; .*; if it is gone, remove {folder}"
    with pytest.raises(Busy, match=words):
        purge_one(world)
    durable.remove_tree(folder)
    purge_one(world)


def test_a_run_that_begins_while_a_purge_copies_keeps_what_it_uses(
    world: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Run(world, "tiny").parts()["prepare"]
    key = ("dataset", old["dataset"].id)

    def pinned(root: object) -> set[tuple[str, str]]:
        return {key} if len(world.artifacts("dataset")) > 1 else set()

    monkeypatch.setattr(pins, "pinned", pinned)
    with pytest.raises(Busy, match=f"dataset {key[1]}: .*process .* it"):
        purge(world, GONE)
    assert world.manifest(old["dataset"]).id == key[1]
    monkeypatch.setattr(pins, "pinned", lambda root: set())
    purge_one(world)
    assert texts(world) == []


def data_set(store: Store, offered: str) -> Manifest:
    """A data set of documents and passages; one of them is offered, and scored, as a negative."""
    cut = {"s0": "s", "t0": "t", "t1": "t"}
    corpus = [
        {"passage_id": key, "title": "", "text": f"text {key}", "parent_id": cut.get(key)}
        for key in (*cut, "u")
    ]
    pair = {"query_id": "q", "passage_id": offered, "score": 0.5}
    tables = {
        "corpus": corpus,
        "documents": [{"passage_id": key, "document_id": of} for key, of in cut.items()],
        "queries": [{"query_id": "q", "text": "a", "split": "dev", "weight": 1.0, "group_id": "q"}],
        "qrels": [
            {"query_id": "q", "passage_id": key, "grade": 1, "split": "dev"} for key in "stu"
        ],
        "pool": [{**pair, "rank": 1}],
        "teacher_scores": [pair],
    }
    summary = {"passages": 4, "judgements": 3, "documents": 3}
    return World(store).commit("dataset", "import flagembedding", tables, summary=summary)


@pytest.mark.parametrize(
    ("gone", "documents", "judged"),
    [
        ("s0", ["t0", "t1"], ["t", "u"]),
        ("t0", ["s0", "t1"], ["s", "t", "u"]),
        ("u", ["s0", "t0", "t1"], ["s", "t"]),
    ],
)
def test_no_table_of_the_new_data_set_names_the_passage(
    world: Store, gone: str, documents: list[str], judged: list[str]
) -> None:
    """A document goes with its only passage."""
    old = data_set(world, "s0")
    new = world.manifest(purge_one(world, gone)[old.id])
    assert not mentions(world, new, gone)
    assert world.table(new, "documents")["passage_id"].to_pylist() == documents
    assert world.table(new, "qrels")["passage_id"].to_pylist() == judged
    left = {"passages": 3, "judgements": len(judged), "documents": len(judged)}
    assert new.summary == left
    offered = {"pool.parquet", "teacher_scores.parquet"}
    assert offered & set(new.files) == (set() if gone == "s0" else offered)


def test_tokens_of_a_data_set_without_the_passage_stay(world: Store) -> None:
    """Though their tokenizer came with a reranker that was trained on the one that has it."""
    reranker = world.manifest(Run(world, "tiny").parts()["round-001"]["reranker"])
    inputs = {"dataset": data_set(world, "s0"), "reranker": reranker}
    rows = [{"id": "u", "token_ids": [1]}]
    later = World(world).commit("tokens", "tokenize", {"passages": rows}, inputs=inputs)
    plan = only_plan(world)
    assert later not in [*plan.rewritten, *plan.mentions]
    assert later.id not in purge_one(world)
    assert world.table(later, "passages").to_pylist() == rows


def test_shards_of_a_run_that_was_killed_go_too(world: Store) -> None:
    parts = Run(world, "tiny").parts()["prepare"]
    inputs = {"dataset": world.manifest(parts["dataset"])}
    shard = World(world).commit(
        "shard", "encode", {"rows": [{"id": GONE, "vector": [1, 0]}]}, inputs=inputs
    )
    assert shard.id in {item.id for item in only_plan(world).erased}


@pytest.mark.parametrize("written", ["{}", "<p>{}</p>"])
def test_a_quotation_is_seen_though_it_is_escaped(world: Store, written: str) -> None:
    text = 'if a < b & c > "d": a text of more than forty letters, and so on'
    page = written.format(html.escape(text) if "<" in written else text)
    made = World(world).commit("report", "quote", files={"report.html": page.encode()})
    assert quotes(world, made, [text])
    assert not quotes(world, made, ["another text of more than forty letters altogether"])


@pytest.mark.parametrize("space", ["\n", "  ", "\t", "\u00a0"])
def test_a_quotation_is_seen_on_one_line_of_a_report(world: Store, space: str) -> None:
    """Reports fold white space, and Markdown escapes letters with backslashes."""
    text = f"Anna_Example,{space}born *1970*, lives & works in {space} a town by the sea"
    cell = Grid(("passage",), [[shortened(text)]])
    for name, page in {"report.html": cell.html(), "report.md": cell.markdown()}.items():
        made = World(world).commit("report", name, files={name: page.encode()})
        assert quotes(world, made, [text])


def test_tombstones_outlive_garbage_collection(world: Store) -> None:
    old = Run(world, "tiny").parts()["prepare"]
    purge_one(world)
    collect(world, Policy(keep_days=0, grace_seconds=0))
    with pytest.raises(NotFound, match="was erased"):
        world.manifest(old["dataset"])
