"""How long a query waits for its reranker at several depths, measured query by query."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.evaluation.ranking import within_depth
from strop.pipeline.progress import SILENT, Progress
from strop.pipeline.seeds import generator

QUERIES = 20
"""Queries that are timed at each depth."""

Score = Callable[[pa.Table], object]


@dataclass(frozen=True)
class Latency:
    """The time of reranking at one depth: of single queries in milliseconds, and pairs a second."""

    depth: int
    queries: int
    pairs: int
    pairs_per_second: float
    p50_ms: float
    p95_ms: float


def sample(candidates: pa.Table, *, seed: int, count: int = QUERIES) -> list[pa.Table]:
    """The candidates of ``count`` queries, or of all when there are fewer, one table a query."""
    ids = sorted(pc.unique(candidates["query_id"]).to_pylist())
    chosen = generator(seed, "latency").permutation(len(ids))[:count]
    return [
        candidates.filter(pc.equal(candidates["query_id"], ids[place])) for place in sorted(chosen)
    ]


def measure(
    score: Score, queries: Sequence[pa.Table], depths: Sequence[int], progress: Progress = SILENT
) -> Iterator[Latency]:
    """The latency at each depth; ``score`` scores the pairs of one query and waits for the end.

    A query is timed at all depths before the next one, so that a busy moment slows all of them; one
    query warms each depth up and does not count. Reading tokens, putting pairs together and the
    forward passes are in it; tokenizing the query and retrieval are not.
    """
    progress.start(len(depths) * len(queries), "queries")
    for depth in depths:
        score(within_depth(queries[0], depth))
    seconds = np.zeros((len(queries), len(depths)))
    pairs = np.zeros((len(queries), len(depths)), np.int64)
    for row, query in enumerate(queries):
        for column, depth in enumerate(depths):
            cut = within_depth(query, depth)
            started = time.perf_counter()
            score(cut)
            seconds[row, column] = time.perf_counter() - started
            pairs[row, column] = len(cut)
            progress.advance(1)
    for column, depth in enumerate(depths):
        taken, count = seconds[:, column], int(pairs[:, column].sum())
        p50, p95 = np.quantile(taken, [0.5, 0.95]) * 1000
        rate = count / float(taken.sum())
        yield Latency(depth, len(queries), count, rate, float(p50), float(p95))
