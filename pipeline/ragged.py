"""Rows of unequal length as one flat array and offsets, cut and gathered without Python loops."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from strop.pipeline.arrays import Ints


@dataclass(frozen=True)
class Ragged:
    """Row ``i`` is ``flat[offsets[i]:offsets[i + 1]]``: one offset more than rows."""

    flat: Ints
    offsets: Ints

    @classmethod
    def from_arrow(cls, column: pa.ChunkedArray) -> "Ragged":
        """The rows of a list column of integers, which keep their width."""
        lists = column.combine_chunks()
        if isinstance(lists, pa.ChunkedArray):
            lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], lists.type)
        offsets = lists.offsets.to_numpy().astype(np.int64)
        flat = lists.values.to_numpy(zero_copy_only=False)
        return cls(flat[offsets[0] : offsets[-1]], offsets - offsets[0])

    @classmethod
    def from_lists(cls, rows: Sequence[Sequence[int]]) -> "Ragged":
        """The rows of nested lists."""
        lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        flat = np.fromiter((value for row in rows for value in row), np.int64, lengths.sum())
        return cls(flat, offsets_from_lengths(lengths))

    def take(self, rows: Ints) -> "Ragged":
        """Some rows, in the order asked for."""
        lengths = self.lengths[rows]
        offsets = offsets_from_lengths(lengths)
        flat = np.zeros(offsets[-1], self.flat.dtype)
        copy_ranges(flat, offsets[:-1], self.flat, self.offsets[rows], lengths)
        return Ragged(flat, offsets)

    def to_arrow(self) -> pa.Array:
        """The rows as lists of 32-bit integers."""
        return pa.ListArray.from_arrays(
            pa.array(self.offsets.astype(np.int32)),
            pa.array(self.flat.astype(np.int32, copy=False)),
        )

    @property
    def lengths(self) -> Ints:
        """The length of every row."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.offsets) - 1

    def row(self, index: int) -> Ints:
        """One row."""
        return self.flat[self.offsets[index] : self.offsets[index + 1]]


def offsets_from_lengths(lengths: Ints) -> Ints:
    """Offsets of rows of these lengths, starting at 0."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def copy_ranges(target: Ints, starts: Ints, source: Ints, sources: Ints, lengths: Ints) -> None:
    """Copy ``source[sources[i]:][:lengths[i]]`` to ``target[starts[i]:]`` for every ``i``."""
    within = np.arange(lengths.sum()) - np.repeat(offsets_from_lengths(lengths)[:-1], lengths)
    target[np.repeat(starts, lengths) + within] = source[np.repeat(sources, lengths) + within]
