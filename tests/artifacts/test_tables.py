"""Declared Parquet tables: checked at the door, streamed, and the same bytes for the same rows."""

import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.artifacts import tables
from strop.artifacts.errors import Damaged
from strop.artifacts.schemas import CORPUS, NEGATIVES, QUERIES, SCORES, TABLES, vectors

Rows = list[dict[str, Any]]

query_rows = st.lists(
    st.fixed_dictionaries(
        {
            "query_id": st.text(max_size=4),
            "text": st.text(max_size=6),
            "split": st.sampled_from(["train", "dev", "test"]),
            "weight": st.floats(width=32, allow_nan=False),
            "group_id": st.sampled_from(["g1", "g2"]),
        }
    ),
    max_size=12,
)


def scores(count: int) -> pa.Table:
    ids = [f"q{number}" for number in range(count)]
    return pa.table({"query_id": ids, "passage_id": ids, "score": [1.0] * count})


def test_conform_puts_columns_in_the_declared_order_and_types() -> None:
    table = pa.table({"score": [1.5], "passage_id": ["p"], "query_id": ["q"]})
    assert table.schema.field("score").type == pa.float64()
    assert tables.conform(table, SCORES).schema.equals(SCORES)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"query_id": ["q"], "passage_id": ["p"]}, "columns .* where .* were declared"),
        (
            {"query_id": ["q"], "passage_id": ["p"], "score": [1.0], "rank": [1]},
            "columns .* where .* were declared",
        ),
        (
            {"query_id": ["q", None], "passage_id": ["p", "p"], "score": [1.0, 1.0]},
            "column 'query_id' has 1 nulls",
        ),
        ({"query_id": ["q"], "passage_id": ["p"], "score": ["high"]}, "high"),
    ],
)
def test_conform_refuses_what_was_not_declared(columns: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        tables.conform(pa.table(columns), SCORES)


def test_conform_refuses_a_column_that_is_there_twice() -> None:
    names = ["query_id", "query_id", "passage_id", "score"]
    twice = pa.table([["q"], ["q"], ["p"], [1.0]], names=names)
    with pytest.raises(ValueError, match="were declared"):
        tables.conform(twice, SCORES)


def test_conform_lets_nulls_pass_only_where_declared() -> None:
    row = {"passage_id": ["p"], "title": [""], "text": ["t"], "parent_id": pa.nulls(1, pa.string())}
    assert tables.conform(pa.table(row), CORPUS).column("parent_id").null_count == 1


def test_conform_looks_into_lists() -> None:
    models = {"first_stage_score": 1.0, "teacher_score": 1.0}
    negative = {"passage_id": "n", "score": 1.0, "rank": 1, "sampler": "s", "hardness": 1.0}
    row: dict[str, Any] = {
        "query_id": "q",
        "positives": [{"passage_id": "p", "grade": 1, **models}],
        "negatives": [{**negative, "weight": 1.0, **models}],
        "group_size": 2,
        "difficulty": 0.5,
        "weight": 1.0,
    }
    assert tables.conform(pa.Table.from_pylist([row]), NEGATIVES).schema == NEGATIVES
    for column in ("positives", "negatives"):
        unnamed = {**row, column: [{**row[column][0], "passage_id": None}]}
        with pytest.raises(ValueError, match="passage_id"):
            tables.conform(pa.Table.from_pylist([unnamed]), NEGATIVES)


@pytest.mark.parametrize(
    ("name", "schema"),
    [(f"{kind}/{name}", schema) for kind in TABLES for name, schema in TABLES[kind].items()],
)
def test_every_declared_table_keeps_its_schema_on_disk(
    name: str, schema: pa.Schema, tmp_path: Path
) -> None:
    path = tmp_path / "table.parquet"
    assert tables.write_table(path, schema.empty_table(), schema) == 0
    assert tables.read_table(path).schema.equals(schema)
    assert tables.count_rows(path) == 0


def test_vectors_come_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "vectors.parquet"
    rows = [{"id": "a", "vector": [1.0, -0.5]}, {"id": "b", "vector": [0.25, 3.0]}]
    tables.write_table(path, pa.Table.from_pylist(rows), vectors(2))
    assert tables.read_table(path).to_pylist() == rows


def test_batches_are_streamed_in_order_and_no_longer_than_asked(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    assert tables.write_batches(path, [scores(3), scores(0), scores(4)], SCORES) == 7
    batches = list(tables.iterate_batches(path, rows=2, columns=["query_id"]))
    assert [batch.num_rows for batch in batches] == [2, 2, 2, 1]
    ids = [value for batch in batches for value in batch.column("query_id").to_pylist()]
    assert ids == ["q0", "q1", "q2", "q0", "q1", "q2", "q3"]


def test_row_groups_are_full_except_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP_ROWS", 4)
    path = tmp_path / "scores.parquet"
    tables.write_batches(path, [scores(3), scores(3), scores(5)], SCORES)
    metadata = pq.ParquetFile(path).metadata
    assert [metadata.row_group(group).num_rows for group in range(3)] == [4, 4, 3]


def test_some_rows_are_read_back_from_their_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP_ROWS", 8)
    monkeypatch.setattr(tables, "BATCH_ROWS", 3)
    rows = pa.table({"id": [f"p{n}" for n in range(30)]}, schema=pa.schema([("id", pa.string())]))
    with tables.TableWriter(tmp_path / "ids.parquet", rows.schema) as writer:
        writer.write(rows)
        for wanted in ([0, 2, 3, 7, 8, 20, 29], [5], list(range(30)), []):
            found = writer.read_back(np.array(wanted, np.int64))
            assert found["id"].to_pylist() == [f"p{n}" for n in wanted]


@settings(max_examples=30, deadline=None)
@given(query_rows, st.lists(st.integers(0, 12), max_size=4), st.integers(1, 5))
def test_the_same_rows_are_the_same_bytes_however_they_were_cut(
    rows: Rows, cuts: list[int], group: int
) -> None:
    plain = pa.Table.from_pylist(rows, schema=QUERIES)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [plain.slice(start, stop - start) for start, stop in pairwise(edges)]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(tables, "ROW_GROUP_ROWS", group)
        whole, cut = Path(folder) / "whole.parquet", Path(folder) / "cut.parquet"
        tables.write_table(whole, plain, QUERIES)
        tables.write_batches(cut, parts, QUERIES)
        assert cut.read_bytes() == whole.read_bytes()
        assert tables.read_table(cut).to_pylist() == rows


def test_the_bytes_do_not_tell_how_a_dictionary_came_to_be(tmp_path: Path) -> None:
    rows = [["q1", "a", "dev", 1.0, "g"], ["q2", "b", "train", 1.0, "g"]]
    table = pa.table([list(column) for column in zip(*rows, strict=True)], names=QUERIES.names)
    backwards = tables.conform(table.take([1, 0]), QUERIES).take([1, 0])
    assert backwards.column("split").chunk(0).dictionary.to_pylist() == ["train", "dev"]
    tables.write_table(tmp_path / "a", table, QUERIES)
    tables.write_table(tmp_path / "b", backwards, QUERIES)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_failing_producer_does_not_hide_its_error(tmp_path: Path) -> None:
    def produce() -> Iterator[pa.Table]:
        yield scores(2)
        raise RuntimeError("lost device")

    with pytest.raises(RuntimeError, match="lost device"):
        tables.write_batches(tmp_path / "scores.parquet", produce(), SCORES)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 but no table PAR1"])
def test_an_unreadable_table_is_named_with_the_way_out(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "scores.parquet"
    if content is not None:
        path.write_bytes(content)
    for read in (tables.read_table, stream):
        with pytest.raises(Damaged, match=r"scores\.parquet: not a readable .*run again$") as error:
            read(path)
        assert "\n" not in str(error.value)


def test_a_fault_that_may_pass_is_not_called_damage(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    tables.write_table(path, scores(1), SCORES)
    for read in (tables.read_table, stream):
        read(path)
        with no_more_open_files(), pytest.raises(OSError, match="Too many open files"):
            read(path)
        read(path)


def stream(path: Path) -> list[pa.Table]:
    return list(tables.iterate_batches(path))


@contextmanager
def no_more_open_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_rows_that_are_looked_for_are_those_of_the_whole_table(tmp_path: Path) -> None:
    names = ["train", "dev", "test"]
    count = tables.FILTERED_ROWS + tables.ROW_GROUP_ROWS + 5
    split = pa.array(np.arange(count) % 3).cast(pa.int32())
    ids = pc.cast(pa.array(np.arange(count)), pa.string())
    whole = pa.table(
        {
            "query_id": ids,
            "text": ids,
            "split": pa.DictionaryArray.from_arrays(split, names),
            "weight": np.ones(count, np.float32),
            "group_id": ids,
        },
        schema=QUERIES,
    )
    path = tmp_path / "queries.parquet"
    tables.write_table(path, whole, QUERIES)
    held = []

    def dev(rows: pa.Table) -> Any:
        held.append(rows.num_rows)
        return pc.equal(rows["split"], "dev")

    found = tables.read_where(path, dev)
    assert found.equals(whole.filter(pc.equal(whole["split"], "dev")).unify_dictionaries())
    assert max(held) <= tables.FILTERED_ROWS
    assert sum(held) == count
    ids_alone = tables.read_where(
        path, lambda rows: pc.equal(rows["query_id"], "x"), columns=["query_id"]
    )
    assert (ids_alone.column_names, ids_alone.num_rows) == (["query_id"], 0)


def test_nothing_is_found_in_an_empty_table(tmp_path: Path) -> None:
    tables.write_table(tmp_path / "scores.parquet", SCORES.empty_table(), SCORES)
    found = tables.read_where(
        tmp_path / "scores.parquet", lambda rows: pc.equal(rows["query_id"], "q")
    )
    assert found.equals(SCORES.empty_table())
