"""Judging candidates: which are suspects, by whose scores, and by which threshold."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from strop.pipeline.arrays import Floats, Ints
from strop.pipeline.config import Guard
from strop.pipeline.mining.calibration import Calibration, fit_calibration
from strop.pipeline.mining.fitted_guard import fit_margin, fit_probability
from strop.pipeline.mining.guards import (
    above_margin,
    above_percentage,
    above_probability,
    above_relative,
    positive_reference,
)
from strop.pipeline.mining.labels import Words


@dataclass(frozen=True)
class Judged:
    """One judge's scores of the rows (NaN where it has none), in whose unit ``margin`` is.

    ``calibration`` says how probable relevance is at a score; one that is missing is fitted to the
    judged positives among these rows.
    """

    name: str
    scores: Floats
    margin: float
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Suspicion:
    """Which rows are suspects, by which rule and judges, and the thresholds that were fitted."""

    suspect: Any
    rules: Words
    thresholds: dict[str, dict[str, float]] = field(default_factory=dict)


def suspicion(
    codes: Ints,
    positive: Any,
    retrieved: Any,
    num_queries: int,
    judges: list[Judged],
    config: Guard,
) -> Suspicion:
    """The rows that any judge, or all of them together, take for unlabelled positives.

    A judge without a score of a row has no say in it. ``retrieved`` tells the rows that a retriever
    found: thresholds and calibrations are fitted to those alone, because a positive that all of
    them missed could never have been a false negative.
    """
    votes, marks, by = (np.zeros(len(codes), np.int8) for _ in range(3))
    thresholds = {}
    for place, judge in enumerate(judges):
        marked, fitted = _marked(codes, positive, retrieved, num_queries, judge, config)
        marks += marked
        votes += ~np.isnan(judge.scores)
        by |= marked.astype(np.int8) << place
        if fitted:
            thresholds[judge.name] = fitted
    wanted = 1 if config.agreement == "any" else np.maximum(votes, 1)
    suspect = (marks >= wanted) & ~positive
    rules = Words(len(codes))
    for number in np.unique(by[suspect]).tolist():
        names = [judge.name for place, judge in enumerate(judges) if number >> place & 1]
        rules.put(suspect & (by == number), f"{config.rule} by {' + '.join(names)}")
    return Suspicion(suspect, rules, thresholds)


def _marked(
    codes: Ints, positive: Any, retrieved: Any, num_queries: int, judge: Judged, config: Guard
) -> tuple[Any, dict[str, float]]:
    if config.rule == "none" or np.isnan(judge.scores).all():
        return np.zeros(len(codes), bool), {}
    if config.rule == "probability":
        return _probable(positive, retrieved, judge, config)
    margin, fitted = judge.margin, {}
    if config.rule == "margin" and config.caught_share is not None:
        scored = ~np.isnan(judge.scores)
        guard = fit_margin(
            codes[scored],
            judge.scores[scored],
            positive[scored],
            reference=config.positive_reference,
            caught_share=config.caught_share,
            in_window=retrieved[scored],
        )
        margin, fitted = guard.threshold, _numbers(guard)
    reference = reference_of_rows(codes, judge.scores, positive, num_queries, config)
    rule = {"margin": above_margin, "relative": above_relative, "percentage": above_percentage}
    return rule[config.rule](judge.scores, reference, margin), fitted


def _probable(
    positive: Any, retrieved: Any, judge: Judged, config: Guard
) -> tuple[Any, dict[str, float]]:
    probabilities = probabilities_of(judge, positive, retrieved)
    if config.caught_share is None:
        return above_probability(probabilities, config.probability), {}
    scored = ~np.isnan(probabilities)
    guard = fit_probability(
        probabilities[scored],
        positive[scored],
        caught_share=config.caught_share,
        in_window=retrieved[scored],
    )
    return above_probability(probabilities, guard.threshold), _numbers(guard)


def probabilities_of(judge: Judged, positive: Any, retrieved: Any) -> Floats:
    """How probably each row is relevant by a judge; NaN where it has no score."""
    scored = ~np.isnan(judge.scores)
    known = scored & retrieved
    calibration = judge.calibration or fit_calibration(judge.scores[known], positive[known])
    found = np.full(len(judge.scores), np.nan)
    found[scored] = calibration.probability(judge.scores[scored])
    return found


def reference_of_rows(
    codes: Ints, scores: Floats, positive: Any, num_queries: int, config: Guard
) -> Floats:
    """For each row the score that its query's margin is measured from; NaN without one."""
    known = ~np.isnan(scores)
    found = positive_reference(
        codes[known], scores[known], positive[known], num_queries, config.positive_reference
    )
    return found[codes]


def _numbers(guard: Any) -> dict[str, float]:
    return {
        "threshold": round(float(guard.threshold), 4),
        "hidden": int(guard.hidden),
        "caught_share": round(float(guard.caught_share), 4),
        "refused_share": round(float(guard.refused_share), 4),
    }
