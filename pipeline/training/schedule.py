"""The learning rate's course, over all rounds together or over one."""

import math
from collections.abc import Callable

from strop.pipeline.config import Training

Factor = Callable[[int], float]


def _constant(progress: float, config: Training) -> float:
    return 1.0


def _linear(progress: float, config: Training) -> float:
    return 1.0 - progress


def _cosine(progress: float, config: Training) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def _constant_with_decay(progress: float, config: Training) -> float:
    """1 until the last ``decay_share`` of the whole course, then down to 0 in a straight line."""
    left = (1.0 - progress) * (1.0 - config.warmup_share)
    return min(1.0, left / config.decay_share)


COURSES: dict[str, Callable[[float, Training], float]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "constant_with_decay": _constant_with_decay,
}
"""The factor after the warm-up by the share that is done of what follows it."""


def learning_rate_factor(config: Training, *, round_number: int, rounds: int, steps: int) -> Factor:
    """The factor on the peak learning rate at each of a round's ``steps``.

    Over a run, rounds share one course: round ``r`` of ``n`` runs through its ``r``-th part (a
    fresh head starves when every round starts and ends at a rate of nothing). Over a round, each
    has a course of its own.
    """
    course, warmup = COURSES[config.schedule], config.warmup_share
    done = _done(config, round_number=round_number, rounds=rounds, steps=steps)

    def factor(step: int) -> float:
        share = done(step)
        if share < warmup:
            return share / warmup
        return course(min(1.0, (share - warmup) / (1.0 - warmup)), config)

    return factor


def warmup_steps(config: Training, *, round_number: int, rounds: int, steps: int) -> int:
    """How many of a round's steps have a learning rate that still rises to its peak."""
    done = _done(config, round_number=round_number, rounds=rounds, steps=steps)
    return sum(done(step) < config.warmup_share for step in range(steps))


def _done(config: Training, *, round_number: int, rounds: int, steps: int) -> Factor:
    """The share of the course that is done in the middle of each step."""
    if config.schedule_over == "round":
        round_number, rounds = 1, 1

    def done(step: int) -> float:
        return (round_number - 1 + min(step + 0.5, steps) / max(steps, 1)) / rounds

    return done
