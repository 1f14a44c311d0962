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

    Each depth is warmed up by one query that does not count. Reading tokens, putting pairs
    together and the forward passes are in it; tokenizing the query and retrieval are not.
    """
    progress.start(len(depths) * len(queries), "queries")
    for depth in depths:
        cuts = [within_depth(query, depth) for query in queries]
        score(cuts[0])
        seconds = []
        for pairs in cuts:
            started = time.perf_counter()
            score(pairs)
            seconds.append(time.perf_counter() - started)
            progress.advance(1)
        count = sum(len(pairs) for pairs in cuts)
        p50, p95 = np.quantile(seconds, [0.5, 0.95]) * 1000
        yield Latency(depth, len(cuts), count, count / sum(seconds), float(p50), float(p95))
