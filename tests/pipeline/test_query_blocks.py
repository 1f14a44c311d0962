"""Blocks of queries: what is made of them one by one is what is made of all at once."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.pipeline import query_blocks
from strop.pipeline.encoded import compact, encoded, places, plain
from strop.pipeline.mining.pool import KEYS
from strop.pipeline.query_blocks import in_blocks

PAIRS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz")), max_size=20)


def table(pairs: list[tuple[str, str]]) -> pa.Table:
    names = [[pair[place] for pair in pairs] for place in (0, 1)]
    columns = [
        *(pa.array(ids, pa.string()) for ids in names),
        pa.array(range(len(pairs)), pa.int64()),
    ]
    return pa.table(columns, names=[*KEYS, "number"])


@given(PAIRS, PAIRS, st.sets(st.sampled_from("abcxyz")), st.integers(1, 4), st.booleans())
def test_blocks_are_the_rows_of_each_query_in_their_order(
    first: list[tuple[str, str]],
    second: list[tuple[str, str]],
    asked: set[str],
    rows: int,
    held_encoded: bool,
) -> None:
    tables = [table(first), table(second)]
    given_as = [compact(part, KEYS) if held_encoded else part for part in tables]

    def read(ids: pa.Array, parts: list[pa.Table]) -> list[Any]:
        assert all(part.schema == tables[0].schema for part in parts)
        return [(id_, *(_of(part, id_) for part in parts)) for id_ in ids.to_pylist()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(query_blocks, "BLOCK_ROWS", rows)
        ids = pa.array(sorted(asked, reverse=True), pa.string())
        found = [item for block in in_blocks(ids, given_as, read) for item in block]
    assert found == [(id_, *(_of(part, id_) for part in tables)) for id_ in ids.to_pylist()]


def _of(part: pa.Table, query_id: str) -> list[Any]:
    return [row for row in part.to_pylist() if row["query_id"] == query_id]


def test_a_block_holds_about_so_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_blocks, "BLOCK_ROWS", 100)
    rows = table([(f"q{number % 50:02}", "p") for number in range(1_000)])
    ids = pa.array([f"q{number:02}" for number in range(50)])
    sizes = list(in_blocks(ids, [rows], lambda ids, parts: (len(ids), parts[0].num_rows)))
    assert sizes == [(5, 100)] * 10


def test_no_queries_are_one_empty_block() -> None:
    """Of a fold without queries, for one, nothing is mined or scored."""
    whole = table([("a", "x")])
    (block,) = in_blocks(pa.array([], pa.string()), [whole], lambda ids, parts: parts[0])
    assert block == whole.slice(0, 0)


def test_ids_are_found_whether_they_are_encoded_or_not() -> None:
    column = pa.chunked_array([["b", "x"], [], ["a", "b"]], pa.string())
    for ids in (column, column.dictionary_encode(), encoded(column)):
        assert places(ids, pa.array(["a", "b"])).tolist() == [1, -1, 0, 1]
    assert places(pa.chunked_array([], pa.string()), pa.array(["a"])).tolist() == []
    assert encoded(column).dictionary.to_pylist() == ["b", "x", "a"]
    whole = pa.table({"query_id": column, "n": np.arange(4)})
    assert plain(compact(whole, ["query_id"]), ["query_id"]) == whole
