"""Alarms: numbers of a diagnosis past a limit, with the likely cause and the key that treats it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pyarrow as pa

from strop.artifacts.schemas import DIAGNOSIS_ALARMS

MIN_QUERIES = 20
"""Fewer diagnosed queries than this cannot tell over-conservatism from chance."""


@dataclass(frozen=True)
class AlarmLimits:
    """Where a number becomes an alarm.

    ``max_loss_share`` of a training's last losses in that of equal scores;
    ``min_auc`` within queries (0.5 is chance); ``min_gap`` of the means in pooled standard
    deviations; ``min_spread``, the median standard deviation of a query's scores, in logits.
    Against the last accepted round: ``max_gap_growth`` in pooled standard deviations where nDCG@10
    gains less than ``min_gain`` though more than ``min_outscored`` of the queries leave something
    to gain, ``max_shift`` in standard deviations of its scores, and ``max_rescaling``, the factor
    either way by which a query's scores may spread.
    """

    max_loss_share: float = 0.95
    min_auc: float = 0.6
    min_gap: float = 0.3
    min_spread: float = 0.01
    max_gap_growth: float = 0.1
    min_gain: float = 0.01
    min_outscored: float = 0.05
    max_shift: float = 2.0
    max_rescaling: float = 3.0


@dataclass(frozen=True)
class Alarm:
    """A number past its limit: the evidence in words, its likely cause and the key to turn."""

    name: str
    value: float
    limit: float
    evidence: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        """One sentence for people."""
        return f"{self.evidence}. Likely cause: {self.cause}. Treat: {self.remedy}."


Numbers = Mapping[str, float]


def alarms(
    numbers: Numbers, limits: AlarmLimits, *, stayed_flat: bool = False
) -> tuple[Alarm, ...]:
    """What is alarming about one round's scores, and about what became of those before.

    Nearly equal scores are a collapse, unless they ``stayed_flat`` all through the training.
    """
    equal = _never_spread if stayed_flat else _collapse
    underfit = _underfit(numbers, limits)
    found = (
        underfit,
        _no_positives(numbers),
        None if stayed_flat and underfit else equal(numbers, limits),
        _weak(numbers, limits),
        _overlap(numbers, limits),
        _over_conservative(numbers, limits),
        _drift(numbers, limits),
        _rescaling(numbers, limits),
    )
    return tuple(alarm for alarm in found if alarm)


def alarms_table(found: tuple[Alarm, ...], split: str) -> pa.Table:
    """``DIAGNOSIS_ALARMS`` rows."""
    rows = [{"split": split, **asdict(alarm)} for alarm in found]
    return pa.Table.from_pylist(rows, schema=DIAGNOSIS_ALARMS)


def _underfit(numbers: Numbers, limits: AlarmLimits) -> Alarm | None:
    """Before any round was accepted: later ones mine harder negatives, which raise the loss."""
    value = numbers.get("loss_share", 0.0)
    if value <= limits.max_loss_share or "gain" in numbers:
        return None
    return Alarm(
        "underfit",
        value,
        limits.max_loss_share,
        f"training has hardly learned: the loss of its last quarter is {value:.2f} of that of equal"
        f" scores (limit {limits.max_loss_share:g})",
        "too few steps or too low a learning rate for a fresh head, or unlabelled positives among"
        " the negatives",
        "training.pairs_per_round or training.epochs up, training.warm_start_share, or"
        " mining.guard.margin up",
    )


def _never_spread(numbers: Numbers, limits: AlarmLimits) -> Alarm | None:
    value = numbers["spread"]
    if value >= limits.min_spread:
        return None
    return Alarm(
        "underfit",
        value,
        limits.min_spread,
        f"training has hardly learned: a query's scores differ by {value:.4f} logits (median"
        f" standard deviation, limit {limits.min_spread:g}), as nearly equal as they began",
        "too few steps or too low a learning rate for a fresh head",
        "training.pairs_per_round or training.epochs up, or training.learning_rate up",
    )


def _no_positives(numbers: Numbers) -> Alarm | None:
    if numbers["num_positives"] > 0:
        return None
    return Alarm(
        "no positives",
        0.0,
        1.0,
        "no positive is among the scored candidates",
        "the first stage misses them, or they lie below the depth that is scored",
        "evaluation.depth up, or another bi_encoder.model",
    )


def _collapse(numbers: Numbers, limits: AlarmLimits) -> Alarm | None:
    value = numbers["spread"]
    if value >= limits.min_spread:
        return None
    return Alarm(
        "collapse",
        value,
        limits.min_spread,
        f"scores have collapsed: a query's scores differ by {value:.4f} logits"
        f" (median standard deviation, limit {limits.min_spread:g})",
        "too high a learning rate, or negatives so hard that equal scores are the safest answer",
        "training.learning_rate down, or mining.curriculum from easy to hard",
    )


def _weak(numbers: Numbers, limits: AlarmLimits) -> Alarm | None:
    value = numbers.get("auc_within_query", 1.0)
    if value >= limits.min_auc:
        return None
    return Alarm(
        "weak",
        value,
        limits.min_auc,
        "the reranker hardly tells positives from the other candidates: AUC within queries"
        f" {value:.3f} (limit {limits.min_auc:g}, chance 0.5)",
        "too little training for a fresh head, or many unlabelled positives among the candidates",
        "training.epochs up, or mining.guard.margin up to spare unlabelled positives",
    )


def _overlap(numbers: Numbers, limits: AlarmLimits) -> Alarm | None:
    value = numbers.get("gap", float("inf"))
    if value >= limits.min_gap:
        return None
    return Alarm(
        "overlap",
        value,
        limits.min_gap,
        f"positives and negatives overlap: their means are {value:.3f} pooled standard"
        f" deviations apart (limit {limits.min_gap:g})",
        "false negatives in training, or scores whose level differs from query to query",
        "mining.guard.margin up, which takes more candidates for suspects",
    )


def _over_conservative(numbers: Numbers, limits: AlarmLimits) -> Alarm | None:
    """Scores further apart though nothing is ranked better: shift-invariant evidence alone."""
    gap, before, gain = (numbers.get(name) for name in ("gap", "gap_before", "gain"))
    if gap is None or before is None or gain is None or numbers["num_queries"] < MIN_QUERIES:
        return None
    growth = gap - before
    # One scored candidate a query, at depth 1, outscores nothing.
    settled = numbers.get("outscored_share", 0.0) <= limits.min_outscored
    if settled or not only_apart(gain=gain, growth=growth, limits=limits):
        return None
    return Alarm(
        "over-conservative",
        growth,
        limits.max_gap_growth,
        f"over-conservative: positives and negatives stand {growth:.2f} pooled standard deviations"
        f" further apart than in the last accepted round (limit {limits.max_gap_growth:g}), and yet"
        f" nDCG@10 of the reranker alone changed by {gain:+.3f} (expected {limits.min_gain:+g} at"
        " least)",
        "too many negatives a group, most of them easy ones that are pushed down further",
        "mining.feedback on, or mining.group_size down with mining.sampler top",
    )


def only_apart(*, gain: float, growth: float, limits: AlarmLimits) -> bool:
    """Whether the gap grew with hardly a gain: a stray query moves the mean a little either way."""
    return growth > limits.max_gap_growth and gain < limits.min_gain


def _drift(numbers: Numbers, limits: AlarmLimits) -> Alarm | None:
    value = numbers.get("shift", 0.0)
    if abs(value) <= limits.max_shift:
        return None
    return Alarm(
        "drift",
        value,
        limits.max_shift,
        f"scores drifted by {value:+.1f} of the standard deviations of the last accepted round's"
        f" (limit {limits.max_shift:g}): a threshold on raw scores no longer means the same",
        "the group softmax leaves the level of scores free",
        "mining.guard.rule margin, which reads differences alone",
    )


def _rescaling(numbers: Numbers, limits: AlarmLimits) -> Alarm | None:
    value = numbers.get("rescaling", 1.0)
    if 1 / limits.max_rescaling <= value <= limits.max_rescaling:
        return None
    return Alarm(
        "rescaling",
        value,
        limits.max_rescaling,
        f"scores spread {value:.2g} times as wide within a query as those of the last"
        f" accepted round (limit {limits.max_rescaling:g} either way): a margin in logits is no"
        " longer the same",
        "training sharpens scores without end, or lets them shrink",
        "mining.guard.rule probability, which is calibrated anew, or training.learning_rate down",
    )
