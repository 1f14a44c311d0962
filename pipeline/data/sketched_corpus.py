"""Sketches of a corpus, made while it is read and kept in a file, so that it is not read again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from strop.pipeline.arrays import Ints
from strop.pipeline.data.keys import Keys, KeyTable
from strop.pipeline.data.passage_sketches import BANDS, ROWS, Sketches, sketches

AT_ONCE = 4096
"""Passages that are sketched at once: few enough for the cache, and enough that threads which work
beside seldom wait for each other."""
_KEPT = np.dtype([("key", np.int64), ("sketch", np.uint32, BANDS * ROWS)])


@dataclass
class SketchedCorpus:
    """The key of each passage's id, and its sketch, by row: 80 bytes a passage, in ``file``."""

    file: BinaryIO
    rows: int = 0

    def add(self, id_keys: Keys, corpus: pa.Table) -> None:
        """Sketch the next passages."""
        kept = np.empty(len(id_keys), _KEPT)
        kept["key"] = id_keys
        end = 0
        for some in corpus.select(["title", "text"]).to_batches(max_chunksize=AT_ONCE):
            start, end = end, end + len(some)
            kept["sketch"][start:end] = sketches(some["title"], some["text"])
        self.file.write(kept.tobytes())
        self.rows += len(id_keys)

    def batches(self, size: int) -> Iterator[tuple[int, Keys, Sketches]]:
        """First row, keys and sketches of all passages in order, ``size`` at a time."""
        self.file.seek(0)
        for first in range(0, self.rows, size):
            read = self.file.read(min(size, self.rows - first) * _KEPT.itemsize)
            kept: Any = np.frombuffer(read, _KEPT)
            yield first, kept["key"], kept["sketch"]

    def find(self, id_keys: Keys, size: int) -> tuple[Ints, Sketches]:
        """Rows and sketches of the passages with these ids, in the corpus' order."""
        wanted = KeyTable()
        wanted.add_new(id_keys)
        rows, found = [np.zeros(0, np.int64)], [np.zeros((0, BANDS * ROWS), np.uint32)]
        for first, known, sketched in self.batches(size):
            here = np.flatnonzero(wanted.find(known)[0])
            rows.append(first + here)
            found.append(sketched[here])
        return np.concatenate(rows), np.concatenate(found)
