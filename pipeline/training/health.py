"""Whether a training is well: what its scores look like, and when it must stop."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from strop.pipeline.arrays import Ints, ModelFloats
from strop.pipeline.config import Training
from strop.pipeline.errors import InputError

Record = dict[str, float]
"""What is known of one optimizer step: the columns of the training log and a few more."""

SPREAD_LIMIT = 0.02
"""Scores of a group that spread less than this, over the temperature, rank nothing."""
LOSS_TOLERANCE = 0.02
"""How near the loss is to that of equal scores, as a share of it."""
COLLAPSED_SHARE = 0.3
"""Share of the run's steps that must be so one after another."""
COLLAPSED_STEPS = 50
"""And how many they are at least."""
FLAT = 0.3
"""Scores of a group that spread less than this, over the temperature, are still nearly equal."""
LAST_SHARE = 4
"""The last quarter of the steps is looked at."""
SKIPPED_STEPS = 32
"""Steps in a row that fp16 may skip while it looks for its loss scale."""


@dataclass(frozen=True)
class Limits:
    """When scores count as collapsed.

    After ``warmup`` steps, ``steps`` in a row with collapsed scores stop the training; None where
    the loss does not tell (see `limits`).
    """

    warmup: int
    steps: int | None


UNLIMITED = Limits(0, None)


def limits(config: Training, *, warmup: int, steps: int, rounds: int) -> Limits:
    """The limits of a round of so many ``steps``.

    Only the group softmax alone has the loss ln(group size) for equal scores; with a residual
    objective, equal scores of the reranker are a fair start.
    """
    if not tells_equal_scores(config):
        return Limits(warmup, None)
    return Limits(warmup, max(COLLAPSED_STEPS, math.ceil(COLLAPSED_SHARE * steps * rounds)))


def tells_equal_scores(config: Training) -> bool:
    """Whether a loss of ln(group size) means that scores are equal, and that nothing is learned."""
    softmax = [loss.name for loss in config.losses] == ["group_softmax"]
    return softmax and not config.residual_weight


def score_health(scores: ModelFloats, offsets: Ints) -> Record:
    """The mean spread (standard deviation) of the groups' scores and the share of violations.

    A group lies between two offsets, its positive first; it is a violation when a negative has a
    higher score than the positive.
    """
    starts, sizes = offsets[:-1], np.diff(offsets)
    values = scores.astype(np.float64)
    means = np.add.reduceat(values, starts) / sizes
    squares = np.add.reduceat((values - np.repeat(means, sizes)) ** 2, starts)
    violated = np.maximum.reduceat(values, starts) > values[starts]
    return {
        "score_spread": float(np.sqrt(squares / sizes).mean()),
        "violation_share": float(violated.mean()),
    }


def equal_scores_loss(
    member_weights: ModelFloats, offsets: Ints, group_weights: ModelFloats
) -> float:
    """The mean group softmax loss of a step whose groups have equal scores."""
    totals = np.add.reduceat(member_weights.astype(np.float64), offsets[:-1])
    positives = member_weights[offsets[:-1]]
    return float((group_weights * np.log(totals / positives)).mean())


def is_collapsed(record: Record, config: Training) -> bool:
    """Whether a step's scores are nearly equal, and so is its loss to that of equal scores."""
    expected = record["equal_scores_loss"] * config.losses[0].weight
    return (
        record["score_spread"] < SPREAD_LIMIT * config.temperature
        and abs(record["loss"] - expected) < LOSS_TOLERANCE * expected
    )


def check_loss(step: int, loss: float, precision: str) -> None:
    """Raise `InputError` when a loss is no number."""
    if not math.isfinite(loss):
        raise _diverged(step, f"the loss is {loss}", precision)


def check_gradient(step: int, norm: float, precision: str, records: Sequence[Record]) -> None:
    """Raise `InputError` when a gradient is no number.

    fp16 finds its loss scale by such steps, which it skips: it may do so for a while.
    """
    if math.isfinite(norm):
        return
    tail = records[-SKIPPED_STEPS:]
    searching = len(tail) < SKIPPED_STEPS or any(
        math.isfinite(record["gradient_norm"]) for record in tail
    )
    if precision != "fp16" or not searching:
        raise _diverged(step, f"the gradient's norm is {norm}", precision)


def _diverged(step: int, what: str, precision: str) -> InputError:
    also = ", or set training.precision to bf16" if precision == "fp16" else ""
    return InputError(
        f"training diverged in step {step:,}: {what}; lower training.learning_rate{also}"
    )


def check_collapse(records: Sequence[Record], limits: Limits, config: Training) -> None:
    """Raise `InputError` when the last steps' scores have collapsed for too long."""
    if limits.steps is None or len(records) < limits.warmup + limits.steps:
        return
    if not all(record["collapsed"] for record in records[-limits.steps :]):
        return
    last = records[-1]
    spreads = np.array([record["score_spread"] for record in records])
    what, cure = "scores collapsed", "lower training.learning_rate, raise training.warmup_share"
    if stays_flat(spreads, config):
        what, cure = "scores never differed", "raise training.learning_rate"
    raise InputError(
        f"{what}: in the {limits.steps:,} steps up to step {len(records):,} they hardly differ "
        f"within a group (spread {last['score_spread']:.2g}), and the loss ({last['loss']:.3f}) is "
        f"that of equal scores; {cure}, or start with training.warm_start_share"
    )


def stays_flat(spreads: ModelFloats, config: Training) -> bool:
    """Whether steps left their groups' scores as equal as they found them, by their spreads.

    A collapse takes a spread away, be it the one that was there or one that training made before.
    """
    if not len(spreads):
        return False
    last = spreads[-max(1, len(spreads) // LAST_SHARE) :].mean()
    return bool(spreads.max() < FLAT * config.temperature and last > spreads[0] / 2)


def health_summary(records: dict[str, np.ndarray[Any, Any]]) -> dict[str, float]:
    """Score spread, violations and gradient norm of the last tenth of the steps.

    Steps that fp16 skipped, whose gradient is infinite, are not among them.
    """
    taken = np.isfinite(records["gradient_norm"])
    tenth = max(1, int(taken.sum()) // 10)
    return {
        name: round(float(records[name][taken][-tenth:].mean()), 4)
        for name in ("score_spread", "violation_share", "gradient_norm")
        if taken.any()
    }
