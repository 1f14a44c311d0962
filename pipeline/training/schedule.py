"""The learning rate's course over all rounds together."""

import math
from collections.abc import Callable

from strop.pipeline.config import Training


def _constant(progress: float) -> float:
    return 1.0


def _linear(progress: float) -> float:
    return 1.0 - progress


def _cosine(progress: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * progress))


COURSES: dict[str, Callable[[float], float]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
}


def learning_rate_factor(
    config: Training, *, round_number: int, rounds: int, steps: int
) -> Callable[[int], float]:
    """The factor on the peak learning rate at each of a round's ``steps``.

    Rounds share one schedule: round ``r`` of ``n`` runs through its ``r``-th part. A fresh head
    starves when every round starts and ends at a rate of nothing.
    """
    course, warmup = COURSES[config.schedule], config.warmup_share

    def factor(step: int) -> float:
        done = (round_number - 1 + min(step + 0.5, steps) / max(steps, 1)) / rounds
        if done < warmup:
            return done / warmup
        return course(min(1.0, (done - warmup) / (1.0 - warmup)))

    return factor
