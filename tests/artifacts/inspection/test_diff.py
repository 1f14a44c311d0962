"""Two artifacts of a kind beside each other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from strop.artifacts.errors import StoreError
from strop.artifacts.inspection.database import connected
from strop.artifacts.inspection.diff import Diff, diff
from strop.artifacts.inspection.keys import KEYS, Comparison, comparisons
from strop.artifacts.inspection.query import UNDECLARED
from strop.artifacts.inspection.table_diff import TableDiff, compare_tables
from strop.artifacts.manifest import Manifest
from strop.artifacts.runs import Run
from strop.artifacts.schemas import SCORES, TABLES
from strop.artifacts.store import Store
from strop.artifacts.tables import write_table
from tests.store_world import store_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return store_world(tmp_path_factory.mktemp("world") / "store")


def made(store: Store, part: str, role: str) -> Manifest:
    return store.manifest(Run(store, "tiny").parts()[part][role])


def between(store: Store, role: str, first: str = "round-001", second: str = "round-002") -> Diff:
    return diff(store, made(store, first, role), made(store, second, role), examples=5)


def table(found: Diff, title: str) -> TableDiff:
    return next(item for item in found.tables if item.title == title)


def compared(tmp_path: Path, a: Any, b: Any, schema: pa.Schema = SCORES, **how: Any) -> TableDiff:
    paths = []
    for side, rows in (("a", a), ("b", b)):
        paths.append([tmp_path / f"{side}.parquet"] if rows is not None else [])
        if rows is not None:
            write_table(paths[-1][0], pa.Table.from_pylist(rows, schema=schema), schema)
    way = replace(Comparison("t", "t", ("query_id", "passage_id")), **how)
    with connected() as connection:
        return compare_tables(connection, way, (paths[0], paths[1]), 5)


def row(query: str, passage: str, score: float) -> dict[str, Any]:
    return {"query_id": query, "passage_id": passage, "score": score}


def test_which_negatives_changed_between_two_rounds(world: Store) -> None:
    found = table(between(world, "negatives"), "negatives")
    assert (found.rows, found.added, found.removed, found.changed) == ((4, 4), 1, 1, 3)
    assert [item["passage_id"] for item in found.examples["added"]] == ["p3"]
    assert [item["passage_id"] for item in found.examples["removed"]] == ["p1"]
    assert found.queries == (2, 0, 0)
    assert found.changed_columns == {"score": 3, "rank": 1}
    assert {"query_id": "q2", "passage_id": "p0", "score": [1.0, 2.0]} in found.examples["changed"]
    assert table(between(world, "negatives"), "positives").same


def test_which_queries_gained_or_lost(world: Store) -> None:
    dev = table(between(world, "metrics_dev"), "per_query")
    (moved,) = dev.moved
    assert moved.within == {"split": "dev", "ranking": "fused", "depth": 6, "metric": "nDCG@10"}
    assert (moved.rows, moved.gained, moved.lost, moved.mean) == (1, 1, 0, 0.5)
    assert moved.gains == [{"query_id": "q3", "before": 0.5, "after": 1.0, "change": 0.5}]
    first, second = (made(world, "assess", f"metrics_test_{number}") for number in (1, 2))
    (lost,) = table(diff(world, first, second, examples=1), "per_query").moved
    assert [(item["query_id"], item["change"]) for item in lost.losses] == [("q4", -0.25)]


def test_parameters_inputs_and_files_that_differ(world: Store) -> None:
    found = between(world, "reranker")
    assert found.parameters == {"round": (1, 2)}
    assert set(found.inputs) == {"negatives", "reranker"}  # tokens are the same
    assert list(found.files) == ["model.safetensors"]
    assert found.made == {}
    assert not found.same_content
    assert table(found, "train_log").same


def test_an_artifact_is_the_same_as_itself(world: Store) -> None:
    for item in world.artifacts():
        found = diff(world, item, item, examples=3)
        assert found.same_content
        assert all(table.same for table in found.tables)
        assert not any((found.parameters, found.inputs, found.files, found.summary, found.made))


def test_two_kinds_are_refused(world: Store) -> None:
    first, second = made(world, "prepare", "dataset"), made(world, "prepare", "tokens")
    with pytest.raises(StoreError, match=r"is a dataset artifact and \w+ a tokens one"):
        diff(world, first, second, examples=1)


def test_rows_added_removed_and_changed(tmp_path: Path) -> None:
    before = [row("q1", "p1", 1), row("q1", "p2", 2), row("q2", "p1", 3)]
    after = [row("q1", "p2", 2), row("q2", "p1", 4), row("q3", "p9", 5)]
    found = compared(tmp_path, before, after, measure="score")
    assert (found.added, found.removed, found.changed) == (1, 1, 1)
    assert found.examples["added"] == [row("q3", "p9", 5)]
    assert found.examples["removed"] == [row("q1", "p1", 1)]
    assert found.examples["changed"] == [{"query_id": "q2", "passage_id": "p1", "score": [3, 4]}]
    assert found.queries == (2, 0, 1)
    assert [(item.rows, item.gained, item.lost, item.mean) for item in found.moved] == [
        (2, 1, 0, 0.5)
    ]


def test_rows_with_the_same_key_are_told_apart(tmp_path: Path) -> None:
    before, after = [row("q", "p", 1)] * 3, [row("q", "p", 1)] * 2
    found = compared(tmp_path, before, after)
    assert (found.rows, found.added, found.removed, found.changed) == ((3, 2), 0, 1, 0)


def test_a_table_that_only_one_has_is_all_added_or_removed(tmp_path: Path) -> None:
    rows = [row("q1", "p1", 1), row("q1", "p2", 2)]
    assert compared(tmp_path, None, rows).added == 2
    gone = compared(tmp_path, rows, None)
    assert (gone.removed, gone.rows) == (2, (2, 0))


def test_nan_equals_nan_and_null_differs_from_a_number(tmp_path: Path) -> None:
    schema = pa.schema(
        [("query_id", pa.string()), ("passage_id", pa.string()), ("x", pa.float32())]
    )
    before = [
        {"query_id": "q", "passage_id": p, "x": x} for p, x in (("a", float("nan")), ("b", 1))
    ]
    after = [
        {"query_id": "q", "passage_id": p, "x": x} for p, x in (("a", float("nan")), ("b", None))
    ]
    found = compared(tmp_path, before, after, schema)
    assert found.examples["changed"] == [{"query_id": "q", "passage_id": "b", "x": [1.0, None]}]


def test_columns_and_types_that_differ_are_named(tmp_path: Path) -> None:
    wide = pa.schema([*SCORES, ("more", pa.int32())]).set(2, pa.field("score", pa.float64()))
    write_table(tmp_path / "a.parquet", SCORES.empty_table(), SCORES)
    write_table(tmp_path / "b.parquet", wide.empty_table(), wide)
    with connected() as connection:
        files = ([tmp_path / "a.parquet"], [tmp_path / "b.parquet"])
        how = Comparison("t", "t", ("query_id", "passage_id"))
        found = compare_tables(connection, how, files, 1)
    assert found.columns == ([], ["more"])
    assert found.types == {"score": ("FLOAT", "DOUBLE")}
    assert not found.same


def test_every_table_has_a_key_of_its_own_columns() -> None:
    for kind, declared in TABLES.items():
        for title, schema in {**declared, **UNDECLARED.get(kind, {})}.items():
            if kind != "negatives":
                assert set(KEYS[kind][title]) <= set(schema.names), (kind, title)
        for how in comparisons(kind):
            assert how.table in {**declared, **UNDECLARED.get(kind, {})}
