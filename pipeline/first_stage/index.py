"""FAISS indexes that find the nearest passages without looking at all of them.

What they find is scored exactly from the vectors (`exact_search.pair_scores`), so that an index
decides which passages are candidates, and never their scores or their order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from strop.pipeline.config import VectorIndex
from strop.pipeline.first_stage.exact_search import (
    QUERY_BLOCK,
    Blocks,
    Rows,
    in_blocks,
    nearest,
    pair_scores,
    passes,
)
from strop.pipeline.first_stage.vectors import Vectors
from strop.pipeline.progress import SILENT, Progress

# FAISS's stubs lack the one and the keywords of the other.
SearchParametersHNSW: Any = vars(faiss)["SearchParametersHNSW"]
SearchParametersIVF: Any = vars(faiss)["SearchParametersIVF"]

TRAINED_ON = 64
"""Vectors a list that k-means is trained on; FAISS asks for 39 at least."""
FEWEST = 39
COMPARED = 100
"""Queries for which an index is held against the exact search."""
CODES = 256
"""Values of a byte of a product code, each a centroid that k-means trains."""


def shard_sizes(passages: int, config: VectorIndex) -> list[int]:
    """Passages of every index of a corpus: as equal as can be, none above what the config says."""
    count = -(-passages // (config.shard_passages or passages))
    ends = [passages * number // count for number in range(count + 1)]
    return np.diff(ends).tolist()


def between(blocks: Blocks, first: int, last: int) -> Blocks:
    """The blocks of some rows alone; ``last`` is the row after them."""

    def some() -> Iterator[Vectors]:
        before = 0
        for block in blocks():
            part = block[max(first - before, 0) : max(last - before, 0)]
            if len(part):
                yield part
            before += len(block)
            if before >= last:
                return

    return some


def build_index(
    blocks: Blocks,
    passages: int,
    width: int,
    config: VectorIndex,
    progress: Progress = SILENT,
) -> faiss.Index:
    """An inner-product index over all blocks; row ``i`` is passage ``i``. Progress only advances.

    HNSW (Malkov and Yashunin 2016, vectors kept in 16 bits), inverted lists, or inverted lists of
    product codes (Jégou et al. 2011), as FAISS has them. The same vectors give the same index:
    k-means begins from FAISS's fixed seed, and a graph grows with one thread.
    """
    lists = number_of_lists(passages, config)
    index: Any = faiss.index_factory(
        width, _description(width, lists, config), faiss.METRIC_INNER_PRODUCT
    )
    if config.type == "hnsw":
        index.hnsw.efConstruction = config.breadth
    if config.type == "ivf_pq":
        index.do_polysemous_training = False  # orders codes for a search that is not used here
    if not index.is_trained:
        index.train(_sample(blocks, passages, width, max(lists, CODES) * TRAINED_ON))
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        for block in blocks():
            index.add(np.ascontiguousarray(block))
            progress.advance(len(block))
    finally:
        faiss.omp_set_num_threads(threads)
    built: faiss.Index = index
    return built


def number_of_lists(passages: int, config: VectorIndex) -> int:
    """The inverted lists of a corpus, so many that k-means can be trained."""
    return max(1, min(config.lists or round(4 * passages**0.5), passages // FEWEST))


def _description(width: int, lists: int, config: VectorIndex) -> str:
    if config.type == "hnsw":
        return f"HNSW{config.links}_SQfp16"
    if config.type == "ivf":
        return f"IVF{lists},SQfp16"
    return f"IVF{lists},PQ{code_bytes(width, config.code_dimensions)}"


def code_bytes(width: int, dimensions: int) -> int:
    """Bytes of a product code: every byte stands for as many dimensions, at most so many."""
    return next(size for size in range(-(-width // dimensions), width + 1) if width % size == 0)


def _sample(blocks: Blocks, passages: int, width: int, most: int) -> Vectors:
    """Vectors at equal distances over the corpus."""
    step, before = -(-passages // most), 0
    taken = np.empty((-(-passages // step), width), np.float32)
    for block in blocks():
        first = -(-before // step)  # a view would keep the whole block
        some = block[-before % step :: step]
        taken[first : first + len(some)] = some
        before += len(block)
    return taken


def write_index(index: faiss.Index, path: Path) -> None:
    """Write an index as FAISS does."""
    faiss.write_index(index, str(path))


def read_index(path: Path) -> faiss.Index:
    """Map an index into memory that `write_index` wrote; only what a search needs is read."""
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def scored(depth: int, config: VectorIndex) -> int:
    """The passages of a query that are scored to keep the best ``depth``."""
    return depth * (config.refine if config.type == "ivf_pq" else 1)


@dataclass(frozen=True)
class Search:
    """The passages nearest to a query as indexes find them, ``depth`` at most."""

    indexes: Sequence[Any]
    """Each over the passages that come after those of the one before."""
    blocks: Blocks
    depth: int
    config: VectorIndex

    def nearest(
        self, queries: Vectors, progress: Progress = SILENT
    ) -> Iterator[tuple[int, Vectors, Rows]]:
        """As `exact_search.nearest`, over what the index finds; other places have row -1."""
        progress.start(len(queries), "queries")
        for start, end in passes(len(queries), self.width):
            scores, rows = self._best(queries[start:end], progress)
            yield from in_blocks(start, scores, rows)

    @property
    def width(self) -> int:
        """Passages that are scored exactly."""
        return scored(self.depth, self.config)

    def _best(self, queries: Vectors, progress: Progress) -> tuple[Vectors, Rows]:
        rows = np.full((len(queries), self.width), -1, np.int64)
        parameters = _search_parameters(self.config, self.width)
        for start in range(0, len(queries), QUERY_BLOCK):
            block = np.ascontiguousarray(queries[start : start + QUERY_BLOCK])
            rows[start : start + len(block)] = self._found(block, parameters)
            progress.advance(len(block))
        found = rows >= 0
        scores = np.full(rows.shape, -np.inf, np.float32)
        query_rows = np.repeat(np.arange(len(rows)), found.sum(axis=1))
        scores[found] = pair_scores(self.blocks, queries, query_rows, rows[found])
        order = np.lexsort((rows, -scores), axis=1)[:, : self.depth]
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)

    def _found(self, queries: Vectors, parameters: Any) -> Rows:
        """The best rows by the indexes' own scores; -1 where there are fewer than are scored."""
        scores, rows, before = [], [], 0
        for index in self.indexes:
            near, found = index.search(queries, self.width, params=parameters)
            scores.append(np.where(found < 0, -np.inf, near))
            rows.append(np.where(found < 0, -1, found + before))
            before += index.ntotal
        order = np.argsort(-np.concatenate(scores, axis=1), axis=1, kind="stable")
        best: Rows = np.take_along_axis(np.concatenate(rows, axis=1), order, axis=1)
        return best[:, : self.width]

    def share_of_exact(self, queries: Vectors) -> float:
        """What the index finds of the passages that an exact search finds, on some queries."""
        some = queries[:: -(-len(queries) // COMPARED)]
        found = np.concatenate([rows for _, _, rows in self.nearest(some)])
        exact = [rows for _, _, rows in nearest(self.blocks, some, self.depth)]
        both = zip(found, np.concatenate(exact), strict=True)
        return round(float(np.mean([np.isin(theirs, ours).mean() for ours, theirs in both])), 4)


def _search_parameters(config: VectorIndex, width: int) -> Any:
    if config.type == "hnsw":
        return SearchParametersHNSW(efSearch=max(config.breadth, width))
    return SearchParametersIVF(nprobe=config.probes)
