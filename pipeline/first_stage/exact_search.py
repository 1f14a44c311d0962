"""Exact search by inner product over blocks of passage vectors that are read one after another.

Memory holds one block and the best of every query, whatever the size of the corpus.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import faiss
import numpy as np

from strop.pipeline.first_stage.vectors import Vectors
from strop.pipeline.progress import SILENT, Progress

Rows = np.ndarray[Any, np.dtype[np.int64]]
Blocks = Callable[[], Iterable[Vectors]]
"""Reads all passage vectors anew: matrices shaped (rows, width), in corpus order."""

QUERY_BLOCK = 1 << 10
"""Queries that FAISS gets at once: below some 130,000 numbers it multiplies without BLAS, which
takes five times as long for 384 dimensions."""
KEPT = 1 << 24
"""Scores that are kept over all blocks; more queries than these allow take another pass."""
PAIRS_AT_ONCE = 1 << 13


def nearest(
    blocks: Blocks, queries: Vectors, depth: int, progress: Progress = SILENT
) -> Iterator[tuple[int, Vectors, Rows]]:
    """Blocks of (first query, scores, rows), each shaped (block, depth), best first.

    Equal scores are ordered by row, and cut by row at the depth. Where there are fewer than
    ``depth`` passages, the places left have row -1, which no caller may read as a passage.
    """
    progress.start(len(queries), "queries")
    for start, end in passes(len(queries), depth):
        scores, rows = _best(blocks(), queries[start:end], depth)
        yield from in_blocks(start, scores, rows)
        progress.advance(len(rows))


def passes(queries: int, depth: int, most: int | None = None) -> Iterator[tuple[int, int]]:
    """First and end of the queries that share a pass over all passages, ``most`` at a time.

    A pass that is cut at ``most``, a multiple of `QUERY_BLOCK`, has the same blocks of queries.
    """
    at_once = max(QUERY_BLOCK, KEPT // depth)
    for start in range(0, queries, at_once):
        end = min(start + at_once, queries)
        for first in range(start, end, most or at_once):
            yield first, min(first + (most or at_once), end)


def in_blocks(start: int, scores: Vectors, rows: Rows) -> Iterator[tuple[int, Vectors, Rows]]:
    """Blocks of (first query, scores, rows) of what was found for the queries from ``start`` on."""
    for first in range(0, len(rows), QUERY_BLOCK):
        part = slice(first, first + QUERY_BLOCK)
        yield start + first, scores[part], rows[part]


def _best(blocks: Iterable[Vectors], queries: Vectors, depth: int) -> tuple[Vectors, Rows]:
    scores = np.full((len(queries), depth), -np.inf, np.float32)
    rows = np.full((len(queries), depth), -1, np.int64)
    before = 0
    for block in blocks:
        for first in range(0, len(queries), QUERY_BLOCK):
            part = slice(first, first + QUERY_BLOCK)
            width = min(depth, len(block))
            new_scores, new_rows = _best_in_block(block, queries[part], width, width + 1)
            # Both lists are in order and the new rows come later: a stable sort keeps ties by row.
            both = np.concatenate([scores[part], new_scores], axis=1)
            order = np.argsort(-both, axis=1, kind="stable")[:, :depth]
            scores[part] = np.take_along_axis(both, order, axis=1)
            both_rows = np.concatenate([rows[part], new_rows + before], axis=1)
            rows[part] = np.take_along_axis(both_rows, order, axis=1)
        before += len(block)
    return scores, rows


def _best_in_block(
    block: Vectors, queries: Vectors, depth: int, width: int
) -> tuple[Vectors, Rows]:
    """The best ``depth``; where scores tie at the cut, FAISS keeps any of them: look wider."""
    width = min(width, len(block))
    scores, rows = faiss.knn(queries, block, width, metric=faiss.METRIC_INNER_PRODUCT)
    order = np.lexsort((rows, -scores), axis=1)
    scores = np.take_along_axis(scores, order, axis=1)
    rows = np.take_along_axis(rows, order, axis=1)
    tied = scores[:, depth - 1] == scores[:, -1]
    scores, rows = scores[:, :depth], rows[:, :depth]
    if width < len(block) and tied.any():
        scores[tied], rows[tied] = _best_in_block(block, queries[tied], depth, 2 * width)
    return scores, rows


def pair_scores(blocks: Blocks, queries: Vectors, query_rows: Rows, passage_rows: Rows) -> Vectors:
    """The inner product of every pair of a query's and a passage's row."""
    scores = np.zeros(len(passage_rows), np.float32)
    order = np.argsort(passage_rows, kind="stable")
    sorted_rows = passage_rows[order]
    before = 0
    for block in blocks():
        ends = np.searchsorted(sorted_rows, [before, before + len(block)])
        for start in range(ends[0], ends[1], PAIRS_AT_ONCE):
            pairs = order[start : min(start + PAIRS_AT_ONCE, ends[1])]
            vectors = block[passage_rows[pairs] - before]
            scores[pairs] = np.einsum("ij,ij->i", vectors, queries[query_rows[pairs]])
        before += len(block)
    return scores
