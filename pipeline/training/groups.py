"""Training groups: one positive with its query's negatives, of unequal size."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from strop.pipeline.ragged import Ints, Ragged, offsets_from_lengths
from strop.pipeline.scoring.scorer import PairSource
from strop.pipeline.seeds import generator


@dataclass(frozen=True)
class Groups:
    """Group ``i`` has query row ``query_rows[i]`` and the passage rows ``members.row(i)``.

    Rows are rows of the cached tokens; the first member is the positive.
    """

    query_rows: Ints
    members: Ragged
    weights: np.ndarray[Any, np.dtype[np.float32]]

    def __len__(self) -> int:
        """The number of groups."""
        return len(self.query_rows)


def plan_groups(
    negatives: pa.Table, source: PairSource, *, epochs: int, seed: int, round_number: int
) -> Groups:
    """All epochs' groups in training order: every query once an epoch, in a seeded order.

    A query with several positives gets one of them, drawn anew in every epoch; the others are in
    no group of its own (they are never among its negatives).
    """
    query_rows = source.queries.rows(negatives["query_id"])
    positives = _passage_lists(negatives["positive_ids"], source)
    mined = _mined(negatives["negatives"], source)
    weights = negatives["weight"].to_numpy()
    order, members = [], []
    for epoch in range(epochs):
        random = generator(seed, "groups", round_number, epoch)
        for index in random.permutation(len(query_rows)):
            choices = positives.row(index)
            positive = choices[random.integers(len(choices))]
            order.append(index)
            members.append(np.concatenate([[positive], mined.row(index)]))
    places = np.asarray(order, np.int64)
    lengths = np.asarray([len(rows) for rows in members], np.int64)
    flat = np.concatenate(members) if members else np.zeros(0, np.int64)
    ragged = Ragged(flat.astype(np.int64), offsets_from_lengths(lengths))
    return Groups(query_rows[places], ragged, weights[places].astype(np.float32))


def _passage_lists(column: pa.ChunkedArray, source: PairSource) -> Ragged:
    lists = column.combine_chunks()
    return Ragged(source.passages.rows(lists.flatten()), _offsets(lists))


def _mined(column: pa.ChunkedArray, source: PairSource) -> Ragged:
    lists = column.combine_chunks()
    ids = lists.flatten().field("passage_id")
    return Ragged(source.passages.rows(ids), _offsets(lists))


def _offsets(lists: pa.ListArray) -> Ints:
    offsets = lists.offsets.to_numpy().astype(np.int64)
    return np.asarray(offsets - offsets[0])
