"""Curriculum: from easy to hard over the rounds, and within an epoch."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from strop.pipeline.arrays import Floats, Ints

Course = Literal["linear", "root", "step", "none"]

FIRST_SHARE = 0.1
"""The share of the easiest queries that an epoch starts from, and the least it chooses from."""

HARDNESS: dict[Course, Callable[[float], float]] = {
    "linear": lambda passed: passed,
    "root": lambda passed: float(np.sqrt(passed)),
    "step": lambda passed: float(passed >= 0.5),
    "none": lambda passed: 1.0,
}


def hardness_of_round(course: Course, number: int, rounds: int) -> float:
    """The factor on the quotas of hard negatives, from 0 in round 1 to 1 in the last round.

    A run of one round has no time to be easy and takes them whole; so do rounds past the last.
    """
    return HARDNESS[course]((min(number, rounds) - 1) / (rounds - 1)) if rounds > 1 else 1.0


def epoch_order(difficulty: Floats, course: Course, random: np.random.Generator) -> Ints:
    """The order in which an epoch takes its queries: a permutation of their places.

    Competence-based (Platanios et al. 2019, arXiv:1903.09848): each position draws from the
    easiest share of the queries, which grows with the epoch in a line or as a root from
    `FIRST_SHARE` to all; without repetition, so that an epoch still has every query once.
    ``step`` takes the easier half first. Queries of equal difficulty are in no order.
    """
    count = len(difficulty)
    shuffled = random.permutation(count)
    if course == "none":
        return shuffled
    easiest_first = shuffled[np.argsort(difficulty[shuffled], kind="stable")]
    if course == "step":
        half = (count + 1) // 2
        first, rest = easiest_first[:half], easiest_first[half:]
        return np.concatenate([random.permutation(first), random.permutation(rest)])
    return _drawn(easiest_first, _competence(course, count), random)


def _competence(course: Course, count: int) -> Ints:
    """How many of the easiest queries each position draws from, used ones included."""
    passed = np.arange(count) / max(count, 1)
    if course == "linear":
        share = FIRST_SHARE + (1 - FIRST_SHARE) * passed
    else:
        share = np.sqrt(FIRST_SHARE**2 + (1 - FIRST_SHARE**2) * passed)
    return np.maximum(np.ceil(share * count), np.arange(count) + 1).astype(np.int64)


def _drawn(easiest_first: Ints, reach: Ints, random: np.random.Generator) -> Ints:
    """At each position one of the first ``reach`` queries that is not used yet."""
    chances = random.random(len(reach)).tolist()
    queries = easiest_first.tolist()
    offered: list[int] = []
    found: list[int] = []
    for chance, end in zip(chances, reach.tolist(), strict=True):
        offered += queries[len(offered) + len(found) : end]
        place = int(chance * len(offered))
        offered[place], offered[-1] = offered[-1], offered[place]
        found.append(offered.pop())
    return np.asarray(found, np.int64)
