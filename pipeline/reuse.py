"""What was computed of a text before: found again by the text's digest, whatever its id or row."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from strop.pipeline.arrays import Bools, Ints
from strop.pipeline.progress import SILENT, Progress

DIGEST = pa.binary(16)
CHUNKS_KEPT = 2
"""Chunks of the earlier table in memory: a corpus that grew keeps most of its order."""


def text_digests(texts: Sequence[str]) -> pa.Array:
    """128 bits a text."""
    return pa.array(
        [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts], DIGEST
    )


def _fixed_width(digests: pa.Array | pa.ChunkedArray) -> Any:
    """Digests as NumPy's byte strings of 16, which sort and compare without a Python object each.

    NumPy takes zeros at the end for padding: equal widths compare as the bytes do.
    """
    chunks = digests.chunks if isinstance(digests, pa.ChunkedArray) else [digests]
    width = DIGEST.byte_width
    parts = [
        np.frombuffer(chunk.buffers()[1], f"S{width}", len(chunk), chunk.offset * width)
        for chunk in chunks
        if len(chunk)
    ]
    return np.concatenate([np.empty(0, f"S{width}"), *parts])


@dataclass
class Earlier:
    """A column of an earlier version, in chunks of ``chunk_rows`` that are read when needed.

    ``digests`` are those of the texts that its rows were made from; they are sorted once and then
    held with their rows, 24 bytes a row.
    """

    digests: InitVar[pa.Array | pa.ChunkedArray]
    chunk_rows: int
    read_chunk: Callable[[int], pa.Array]
    _chunks: dict[int, pa.Array] = field(default_factory=dict)

    def __post_init__(self, digests: pa.Array | pa.ChunkedArray) -> None:
        """Sort the digests; of equal ones the first row stays first."""
        unsorted = _fixed_width(digests)
        self._rows: Ints = np.argsort(unsorted, kind="stable")
        self._sorted = unsorted[self._rows]

    def find(self, texts: Sequence[str]) -> Ints:
        """The earlier row of each text, the first of several; -1 where there is none."""
        wanted = _fixed_width(text_digests(texts))
        places = np.searchsorted(self._sorted, wanted)
        found = np.full(len(wanted), -1, np.int64)
        inside = np.flatnonzero(places < len(self._sorted))
        known = inside[self._sorted[places[inside]] == wanted[inside]]
        found[known] = self._rows[places[known]]
        return found

    def take(self, rows: Ints) -> pa.Array:
        """The values of earlier rows, in the order asked for; at least one row."""
        order = np.argsort(rows, kind="stable")
        numbers = rows[order] // self.chunk_rows
        parts = [
            self._chunk(int(number)).take(
                pa.array(rows[order][numbers == number] - number * self.chunk_rows)
            )
            for number in np.unique(numbers)
        ]
        return pa.concat_arrays(parts).take(pa.array(np.argsort(order, kind="stable")))

    def _chunk(self, number: int) -> pa.Array:
        if number not in self._chunks:
            while len(self._chunks) >= CHUNKS_KEPT:
                del self._chunks[next(iter(self._chunks))]
            self._chunks[number] = self.read_chunk(number)
        return self._chunks[number]


@dataclass
class Reuse:
    """Values of texts: an earlier version's where there are any, made anew where not.

    Counts what was made and what was reused.
    """

    earlier: Earlier | None
    progress: Progress = SILENT
    """Told of what is reused; what is made tells itself."""
    made: int = 0
    reused: int = 0

    def values(self, texts: Sequence[str], make: Callable[[Sequence[str]], pa.Array]) -> pa.Array:
        """One value a text, in order."""
        split = self.split(texts)
        return split.filled(make(split.new) if split.new or not texts else None)

    def split(self, texts: Sequence[str]) -> "Split":
        """What is known of the texts, and which are to be made anew."""
        rows = np.full(len(texts), -1) if self.earlier is None else self.earlier.find(texts)
        known = rows >= 0
        self.made += int((~known).sum())
        self.reused += int(known.sum())
        if self.earlier is None or not known.any():
            return Split(known, list(texts), None)
        self.progress.advance(int(known.sum()))
        new = [text for text, old_one in zip(texts, known, strict=True) if not old_one]
        return Split(known, new, self.earlier.take(rows[known]))


@dataclass(frozen=True)
class Split:
    """Texts of which some are ``known``, with the ``old`` values of those, and the ``new`` ones."""

    known: Bools
    new: list[str]
    old: pa.Array | None

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be made."""
        return self.old is not None and not self.new

    def filled(self, made: pa.Array | None) -> pa.Array:
        """One value a text, in order; ``made`` are those of the new texts."""
        if self.old is None or made is None:
            return made if self.old is None else self.old
        places = np.concatenate([np.flatnonzero(self.known), np.flatnonzero(~self.known)])
        both = pa.concat_arrays([self.old, made.cast(self.old.type)])
        return both.take(pa.array(np.argsort(places, kind="stable")))
