"""An exact FAISS index over passage vectors, and search in it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from strop.pipeline.first_stage.encoding import Vectors

QUERY_BLOCK = 256

Rows = np.ndarray[Any, np.dtype[np.int64]]


def build_flat_index(shards: Iterable[Vectors]) -> faiss.Index:
    """An inner-product index over all shards, at least one; row ``i`` is passage ``i``."""
    index: Any = None
    for shard in shards:
        if index is None:
            index = faiss.IndexFlatIP(shard.shape[1])
        index.add(np.ascontiguousarray(shard))
    built: faiss.Index = index
    return built


def write_index(index: faiss.Index, path: Path) -> None:
    """Write an index as FAISS does."""
    faiss.write_index(index, str(path))


def read_index(path: Path) -> faiss.Index:
    """Read an index that `write_index` wrote."""
    return faiss.read_index(str(path))


def search(index: faiss.Index, queries: Vectors, depth: int) -> Iterator[tuple[int, Vectors, Rows]]:
    """Blocks of (first query, scores, rows), each shaped (block, depth), best first.

    Equal scores are ordered by row, and cut by row at the depth. Where the index holds fewer than
    ``depth`` passages, FAISS pads with row -1: those places stay -1 here, and no caller may read
    them as a passage.
    """
    for start in range(0, len(queries), QUERY_BLOCK):
        block = np.ascontiguousarray(queries[start : start + QUERY_BLOCK])
        yield (start, *_best(index, block, depth, width=depth + 1))


def _best(index: faiss.Index, block: Vectors, depth: int, width: int) -> tuple[Vectors, Rows]:
    """The best ``depth``; where scores tie at the cut, FAISS keeps any of them: look wider."""
    scores, rows = index.search(block, width)
    order = np.lexsort((rows, -scores, rows < 0), axis=1)
    scores = np.take_along_axis(scores, order, axis=1)
    rows = np.take_along_axis(rows, order, axis=1)
    tied = (rows[:, -1] >= 0) & (scores[:, depth - 1] == scores[:, -1])
    scores, rows = scores[:, :depth], rows[:, :depth]
    if tied.any():
        scores[tied], rows[tied] = _best(index, block[tied], depth, 2 * width)
    return scores, rows
