"""Samplers: which of a query's allowed candidates become its negatives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Draw:
    """What a sampler needs: scores of the allowed candidates, how many to take, randomness.

    Candidates come in first-stage order; one that was not scored (NaN) counts as easier than all
    that were.
    """

    scores: Floats
    count: int
    hard_share: float
    random: np.random.Generator


def top(draw: Draw) -> tuple[Ints, list[str]]:
    """The candidates with the highest scores, best first."""
    chosen = np.argsort(-draw.scores, kind="stable")[: draw.count]
    return chosen, ["top"] * len(chosen)


def uniform(draw: Draw) -> tuple[Ints, list[str]]:
    """Candidates at random, without repetition."""
    chosen = draw.random.permutation(len(draw.scores))[: draw.count]
    return np.sort(chosen), ["uniform"] * len(chosen)


def mixed(draw: Draw) -> tuple[Ints, list[str]]:
    """``hard_share`` of the count by score, the rest at random from what is left."""
    order = np.argsort(-draw.scores, kind="stable")
    hard = order[: round(draw.count * draw.hard_share)]
    left = np.sort(order[len(hard) :])
    rest = left[draw.random.permutation(len(left))[: draw.count - len(hard)]]
    chosen = np.concatenate([hard, np.sort(rest)])
    return chosen, ["top"] * len(hard) + ["uniform"] * len(rest)


SAMPLERS: dict[str, Callable[[Draw], tuple[Ints, list[str]]]] = {
    "top": top,
    "uniform": uniform,
    "mixed": mixed,
}


def hard_share_of_round(hard_share: float, round_number: int, rounds: int) -> float:
    """The curriculum: the share grows in equal steps from 0 to ``hard_share`` in the last round.

    A run of one round has no time to be easy, and takes the whole share at once.
    """
    return hard_share * (min(round_number, rounds) - 1) / (rounds - 1) if rounds > 1 else hard_share
