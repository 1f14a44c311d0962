"""Diagnosis of a reranker's scores: how far positives stand from the other candidates."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from strop.artifacts.schemas import DIAGNOSIS_HISTOGRAM, DIAGNOSIS_SUMMARY
from strop.pipeline.evaluation.alarms import Alarm, AlarmLimits, alarms
from strop.pipeline.evaluation.labelled_scores import LabelledScores, labelled_scores
from strop.pipeline.evaluation.metrics import Judgements, per_query_metrics
from strop.pipeline.evaluation.ranking import BoolArray, FloatArray, IntArray, offsets_of
from strop.pipeline.evaluation.reliability import calibration_errors, reliability_table, sigmoid


@dataclass(frozen=True)
class Diagnosis:
    """The ``diagnosis`` tables, and what is alarming."""

    summary: pa.Table
    histogram: pa.Table
    reliability: pa.Table
    alarms: tuple[Alarm, ...]


def diagnose(
    ranking: pa.Table,
    judgements: Judgements,
    *,
    before: pa.Table | None = None,
    loss_share: float | None = None,
    stayed_flat: bool = False,
    num_bins: int = 30,
    limits: AlarmLimits | None = None,
) -> Diagnosis:
    """The score distributions of positives and negatives among the scored candidates.

    A negative is any scored candidate without a positive grade, so unlabelled positives are among
    them. Only queries with a positive in the judgements count. ``before`` is the ranking of the
    same candidates by the last accepted round; with it, drift and over-conservatism are judged too.
    ``loss_share`` and ``stayed_flat`` are what the training says of itself (`training.lesson`).
    Calibration is that of the sigmoid of the score, and never alarming: a loss over groups leaves
    the level of scores free.
    """
    found = labelled_scores(ranking, judgements)
    probabilities = sigmoid(found.scores)
    numbers = {**_numbers(found), **calibration_errors(probabilities, found.positive)}
    if before is not None:
        numbers |= _since(ranking, before, judgements)
    if loss_share is not None:
        numbers["loss_share"] = loss_share
    rows = [
        {"split": judgements.split, "name": name, "value": float(value)}
        for name, value in numbers.items()
    ]
    return Diagnosis(
        summary=pa.Table.from_pylist(rows, schema=DIAGNOSIS_SUMMARY),
        histogram=_histogram(found, split=judgements.split, num_bins=num_bins),
        reliability=reliability_table(
            probabilities, found.positive, split=judgements.split, calibration="none"
        ),
        alarms=alarms(numbers, limits or AlarmLimits(), stayed_flat=stayed_flat),
    )


def _since(ranking: pa.Table, before: pa.Table, judgements: Judgements) -> dict[str, float]:
    """What became of the scores since the last accepted round, and the gain in nDCG@10."""
    now, old = labelled_scores(ranking, judgements), labelled_scores(before, judgements)
    numbers = {"gain": _ndcg(ranking, judgements) - _ndcg(before, judgements)}
    if (gap := _numbers(old).get("gap")) is not None:
        numbers["gap_before"] = gap
    if (deviation := float(old.scores.std())) > 0:
        numbers["shift"] = float((now.scores.mean() - old.scores.mean()) / deviation)
    if (spread := _spread(old.scores, old.queries)) > 0:
        numbers["rescaling"] = _spread(now.scores, now.queries) / spread
    return numbers


def _ndcg(ranking: pa.Table, judgements: Judgements) -> float:
    rows = per_query_metrics(ranking, judgements, kind="reranker", depth=0, metrics=["nDCG@10"])
    return float(rows["value"].to_numpy().mean())


def auc(positives: FloatArray, negatives: FloatArray) -> float:
    """The chance that a random positive scores above a random negative, a tie counting half."""
    below, not_above = _counts_below(positives, negatives)
    return float((below + not_above).mean() / (2 * len(negatives)))


def kolmogorov_smirnov(positives: FloatArray, negatives: FloatArray) -> float:
    """The largest distance between the two cumulative distributions."""
    values = np.concatenate((positives, negatives))
    shares = [
        np.searchsorted(np.sort(side), values, "right") / len(side)
        for side in (positives, negatives)
    ]
    return float(np.abs(shares[0] - shares[1]).max())


def _counts_below(values: FloatArray, others: FloatArray) -> tuple[IntArray, IntArray]:
    ordered = np.sort(others)
    return np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")


def _numbers(found: LabelledScores) -> dict[str, float]:
    """What can be said; with positives or negatives missing, only their counts and the spread."""
    scores, positive, codes = found.scores, found.positive, found.queries
    positives, negatives = scores[positive], scores[~positive]
    numbers = {
        "num_positives": float(len(positives)),
        "num_negatives": float(len(negatives)),
        "num_queries": float(codes.max() + 1),
        "spread": _spread(scores, codes),
    }
    if len(positives) == 0 or len(negatives) == 0:
        return numbers
    return numbers | {
        "mean_positive": float(positives.mean()),
        "mean_negative": float(negatives.mean()),
        "auc": auc(positives, negatives),
        "ks": kolmogorov_smirnov(positives, negatives),
        "gap": _gap(positives, negatives),
        **_within_queries(scores, positive, codes),
    }


def _within_queries(scores: FloatArray, positive: BoolArray, codes: IntArray) -> dict[str, float]:
    """AUC within queries (mean over queries) and the share whose best positive is outscored.

    Both are blind to shifts of a query's scores, which a group softmax leaves free.
    """
    order = np.lexsort((scores, codes))
    offsets = offsets_of(codes[order])
    aucs, outscored = [], []
    for start, end in pairwise(offsets):
        rows = order[start:end]
        positives, negatives = scores[rows][positive[rows]], scores[rows][~positive[rows]]
        if len(positives) and len(negatives):
            aucs.append(auc(positives, negatives))
            outscored.append(negatives.max() > positives.max())
    if not aucs:
        return {}
    return {"auc_within_query": float(np.mean(aucs)), "outscored_share": float(np.mean(outscored))}


def _gap(positives: FloatArray, negatives: FloatArray) -> float:
    """The difference of the means in pooled standard deviations; 0 where nothing varies."""
    squares = sum(float(((side - side.mean()) ** 2).sum()) for side in (positives, negatives))
    freedom = max(len(positives) + len(negatives) - 2, 1)
    deviation = np.sqrt(squares / freedom)
    return float((positives.mean() - negatives.mean()) / deviation) if deviation > 0 else 0.0


def _spread(scores: FloatArray, codes: IntArray) -> float:
    """The median over queries of the standard deviation of the query's scores."""
    sizes = np.bincount(codes)
    means = np.bincount(codes, scores) / sizes
    return float(np.median(np.sqrt(np.bincount(codes, (scores - means[codes]) ** 2) / sizes)))


def _histogram(found: LabelledScores, *, split: str, num_bins: int) -> pa.Table:
    scores, positive = found.scores, found.positive
    edges = np.histogram_bin_edges(scores, num_bins)
    rows = [
        {"split": split, "label": label, "low": low, "high": high, "count": int(count)}
        for label, chosen in (("positive", positive), ("negative", ~positive))
        for (low, high), count in zip(
            pairwise(edges), np.histogram(scores[chosen], edges)[0], strict=True
        )
    ]
    return pa.Table.from_pylist(rows, schema=DIAGNOSIS_HISTOGRAM)
