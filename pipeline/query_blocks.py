"""Tables cut into blocks of queries: what is made of each query apart is made block by block."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa

from strop.pipeline.arrays import Ints
from strop.pipeline.encoded import places, plain

KEYS = ["query_id", "passage_id"]
Made = TypeVar("Made")

BLOCK_ROWS = 1 << 18
"""Rows of a block's first table, on average."""


class ByQuery:
    """A table's rows by query; it may be held with encoded ids, and is given out with texts."""

    def __init__(self, table: pa.Table, query_ids: pa.Array) -> None:
        """Find the rows of these queries, in the table's order; those of others are left out."""
        self._table = table
        codes = places(table["query_id"], query_ids)
        counts = np.bincount(codes[codes >= 0], minlength=len(query_ids))
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._order = _in_order(codes, len(query_ids))

    @property
    def num_rows(self) -> int:
        """The rows of all these queries."""
        return int(self._starts[-1])

    def block(self, first: int, end: int) -> pa.Table:
        """The rows of the queries from place ``first`` up to ``end``."""
        rows = self._order[self._starts[first] : self._starts[end]]
        return plain(self._table.take(pa.array(rows)), KEYS)


def _in_order(codes: Ints, count: int) -> Ints:
    """The numbers of the rows by rising code, without those of no code."""
    if len(codes) and (np.diff(codes) >= 0).all() and codes[0] >= 0:
        return np.arange(len(codes), dtype=np.uint32 if len(codes) < 1 << 32 else np.int64)
    order = np.argsort(np.where(codes < 0, count, codes), kind="stable")
    order = order[: int((codes >= 0).sum())]
    return order.astype(np.uint32) if len(codes) < 1 << 32 else order


def in_blocks(
    query_ids: pa.Array,
    tables: Sequence[pa.Table],
    make: Callable[[pa.Array, list[pa.Table]], Made],
) -> Iterator[Made]:
    """What ``make`` makes of the ids of a block and its rows of every table, in the ids' order.

    Without queries there is one block, which is empty.
    """
    parts = [ByQuery(table, query_ids) for table in tables]
    rows = max(1, parts[0].num_rows)
    step = max(1, BLOCK_ROWS * len(query_ids) // rows)
    for first in range(0, max(1, len(query_ids)), step):
        end = min(first + step, len(query_ids))
        yield make(query_ids.slice(first, end - first), [part.block(first, end) for part in parts])
