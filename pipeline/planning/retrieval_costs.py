"""What the retrievers that a run asks cost, by doing a little of each one's work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from strop.pipeline.config import Config
from strop.pipeline.planning.index_costs import measure_index
from strop.pipeline.planning.retrievers import asks_words
from strop.pipeline.planning.word_costs import measure_words

Clock = Callable[[], float]
BLOCK, BLOCKS = 1 << 14, 2
"""Passage vectors of a block of the exact search, and blocks that are searched."""


@dataclass(frozen=True)
class RetrievalCosts:
    """Seconds as `UnitCosts` has them; 0 of what the run does not ask."""

    multiply_add: float = 0.0
    build_index: float = 0.0
    search_index: float = 0.0
    index_words: float = 0.0
    search_words: float = 0.0


def measure_retrieval(
    passages: Sequence[str],
    queries: Sequence[str],
    config: Config,
    clock: Clock,
    *,
    width: int | None,
) -> RetrievalCosts:
    """The costs of searching vectors of this ``width``, None without a bi-encoder, and of BM25."""
    depth, index = config.first_stage.depth, config.first_stage.index
    multiply = build = search = words = found = 0.0
    if width:
        multiply = _multiplying(width, depth, clock)
        if index.type != "exact":
            build, search = measure_index(width, depth, index, clock)
    if asks_words(config):
        words, found = measure_words(passages, queries, config.first_stage, clock)
    return RetrievalCosts(multiply, build, search, words, found)


def _multiplying(width: int, depth: int, clock: Clock) -> float:
    """Seconds of one multiply-add of the exact search, ordering the best of a block included."""
    from strop.pipeline.first_stage.exact_search import QUERY_BLOCK, nearest

    block: Any = np.random.default_rng(0).standard_normal((BLOCK, width), np.float32)
    queries = block[:QUERY_BLOCK]
    list(nearest(lambda: [block], queries[:16], depth))
    started = clock()
    list(nearest(lambda: [block] * BLOCKS, queries, depth))
    seconds = clock() - started
    return seconds / float(BLOCKS * block.size * len(queries))
