"""Group sizes: competitive queries get more negatives, easy ones fewer, at one budget of pairs."""

from typing import Any

import numpy as np

from strop.pipeline.arrays import Floats, Ints


def difficulties(
    codes: Ints, scores: Floats, reference: Floats, candidate: Any, margin: float, num_queries: int
) -> Floats:
    """Each query's share of candidates that score above its reference minus a margin; 0 to 1.

    ``reference`` is parallel to the rows. Rows without a score do not count, and a query without
    candidates has difficulty 0.
    """
    counted = candidate & ~np.isnan(scores)
    near = counted & (scores > reference - margin)
    totals = np.bincount(codes[counted], minlength=num_queries)
    return np.bincount(codes[near], minlength=num_queries) / np.maximum(totals, 1)


def group_sizes(
    difficulty: Floats, available: Ints, *, mean: int, low: int, high: int
) -> tuple[Ints, int]:
    """Members of each query's group, the positive included, and the slots that nobody could fill.

    The sizes lie between ``low`` and ``high``, rise with difficulty and sum to ``mean`` times the
    queries. A query has at most one member more than its ``available`` negatives; slots that it
    cannot fill go to the others, up to ``high``.
    """
    ceiling = np.minimum(high, available + 1)
    floor = np.minimum(low, ceiling)
    budget = mean * len(difficulty)
    total = min(budget, int(ceiling.sum()))
    wanted = _level(difficulty * (high - low), floor, ceiling, total)
    sizes = np.floor(wanted + 1e-9).astype(np.int64)
    # The largest remainders are rounded up; rounded themselves, so that equals stay in order.
    remainders = np.round(np.where(sizes < ceiling, wanted - sizes, -1.0), 9)
    sizes[np.argsort(-remainders, kind="stable")[: total - int(sizes.sum())]] += 1
    return sizes, budget - total


def _level(wishes: Floats, floor: Ints, ceiling: Ints, total: int) -> Floats:
    """The wishes raised or lowered together until, within their bounds, they sum to the total."""
    lower, upper = -float(wishes.max(initial=0)) - 1, float(ceiling.max(initial=0)) + 1
    for _ in range(80):
        level = (lower + upper) / 2
        if np.clip(wishes + level, floor, ceiling).sum() < total:
            lower = level
        else:
            upper = level
    return np.clip(wishes + upper, floor, ceiling)
