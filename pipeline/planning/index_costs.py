"""What building and searching an approximate index costs, from a small one that is built.

Work is counted by what FAISS does for the kind of index. A graph compares a vector with as many as
a constant times the logarithm of its size (Malkov and Yashunin 2016, section 4.2); k-means, adding
and searching compare vectors with all centroids, a search then with the vectors of its lists. The
constants were fitted to ``benchmarks/results/indexes.md`` (100,000 and a million vectors).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from strop.pipeline.config import VectorIndex

SMALL = 12_000
"""Vectors of the index that is built to be measured."""
ITERATIONS, CODE_ITERATIONS = 10, 25
"""Of k-means, as FAISS trains inverted lists and product codes."""
CODE_SAMPLE, CODE_COST = 65_536, 5
"""Vectors that product codes are trained on at most, and what a comparison of parts of a few
dimensions costs more than one of whole vectors."""
QUERIES = 256


def build_work(passages: int, config: VectorIndex) -> float:
    """Comparisons of vectors, up to a factor that is the same for all sizes."""
    from strop.pipeline.first_stage.index import CODES, TRAINED_ON, number_of_lists, shard_sizes

    work = 0.0
    for size in shard_sizes(passages, config):
        if config.type == "hnsw":
            work += size * _graph(size)
            continue
        lists = number_of_lists(size, config)
        work += (ITERATIONS * min(size, lists * TRAINED_ON) + size) * lists
        if config.type == "ivf_pq":
            sample = min(size, max(lists, CODES) * TRAINED_ON, CODE_SAMPLE)
            work += CODE_COST * (CODE_ITERATIONS * sample + size) * CODES
    return work


def _graph(size: int) -> float:
    """Comparisons of a vector, by what each costs: links lead the farther the larger a graph is."""
    return math.log2(size + 1) ** 2


def search_work(passages: int, config: VectorIndex) -> float:
    """Comparisons for one query, up to a factor."""
    from strop.pipeline.first_stage.index import number_of_lists, shard_sizes

    work = 0.0
    for size in shard_sizes(passages, config):
        if config.type == "hnsw":
            work += _graph(size)
            continue
        lists = number_of_lists(size, config)
        work += lists + min(config.probes, lists) * size / lists
    return work


def index_bytes(passages: int, width: int, config: VectorIndex) -> tuple[int, int]:
    """Bytes of the whole index on disk, and of what is held to build it or its largest shard.

    Vectors are kept in 16 bits or as codes, with their links or their number; k-means needs its
    sample in 32.
    """
    from strop.pipeline.first_stage.index import (
        CODES,
        TRAINED_ON,
        code_bytes,
        number_of_lists,
        shard_sizes,
    )

    largest = max(shard_sizes(passages, config))
    if config.type == "hnsw":
        each, sample = 2 * width + 8 * config.links, 0
    else:
        codes = config.type == "ivf_pq"
        each = (code_bytes(width, config.code_dimensions) if codes else 2 * width) + 8
        sample = min(largest, max(number_of_lists(largest, config), CODES) * TRAINED_ON)
    return passages * each, largest * each + sample * 4 * width


def measure_index(
    width: int, depth: int, config: VectorIndex, clock: Callable[[], float]
) -> tuple[float, float]:
    """Seconds of a unit of work of building and of searching, by a small index that is built.

    Product codes need more vectors than that: inverted lists without them stand for them.
    """
    from strop.pipeline.first_stage.index import Search, build_index

    kind = "hnsw" if config.type == "hnsw" else "ivf"
    whole = config.model_copy(update={"shard_passages": None, "type": kind})
    vectors: Any = _vectors(width)
    started = clock()
    built = build_index(lambda: [vectors], SMALL, width, whole)
    built_seconds = clock() - started
    search = Search([built], lambda: [vectors], min(depth, SMALL), whole)
    started = clock()
    list(search.nearest(vectors[:QUERIES]))
    seconds = clock() - started
    return (
        built_seconds / build_work(SMALL, whole),
        seconds / (QUERIES * search_work(SMALL, whole)),
    )


def _vectors(width: int) -> Any:
    """Vectors around centres, as embeddings of texts lie: a graph of them is found faster."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((SMALL // 50, width), np.float32)
    drawn = centres[random.integers(0, len(centres), SMALL)]
    drawn += random.standard_normal(drawn.shape, np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
