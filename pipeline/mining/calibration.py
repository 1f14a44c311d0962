"""Calibration: how probably a passage is relevant, given its score."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from strop.pipeline.arrays import Floats
from strop.pipeline.errors import InputError

MAX_STEPS = 100
"""Newton steps; around ten are enough."""
TOLERANCE = 1e-10
"""A mean gradient below this ends the fit."""


@dataclass(frozen=True)
class Calibration:
    """A logistic curve over scores; ``slope`` is in logits a unit of the score."""

    slope: float
    intercept: float

    def probability(self, scores: Floats) -> Floats:
        """How probably each score is that of a relevant passage; NaN stays NaN."""
        return np.asarray(expit(self.slope * scores + self.intercept), np.float64)


def fit_calibration(scores: Floats, relevant: Any) -> Calibration:
    """Fit a logistic curve to scores and whether each is that of a relevant passage.

    Platt scaling (Platt 1999) with its targets, which are just short of 0 and 1 and keep the curve
    finite where a score separates both classes. Newton's method on standardised scores with
    halved steps, after Lin, Lin and Weng (2007). Raises `InputError` for a single class.
    """
    relevant = np.asarray(relevant, bool)
    num_relevant, num_other = int(relevant.sum()), int((~relevant).sum())
    if not num_relevant or not num_other:
        raise InputError(
            f"a calibration of scores needs relevant and other passages; found {num_relevant} "
            f"relevant and {num_other} others"
        )
    targets = np.where(relevant, (num_relevant + 1) / (num_relevant + 2), 1 / (num_other + 2))
    center, scale = float(scores.mean()), float(scores.std()) or 1.0
    inputs = np.stack([(scores - center) / scale, np.ones(len(scores))])
    start = np.array([0.0, np.log((num_relevant + 1) / (num_other + 1))])
    slope, intercept = _newton(inputs, targets, start)
    return Calibration(float(slope / scale), float(intercept - slope * center / scale))


def _newton(inputs: Floats, targets: Floats, start: Floats) -> Floats:
    """The weights of the least cross-entropy; ``inputs`` has a row for each weight."""
    weights, loss = start, _loss(start @ inputs, targets)
    for _ in range(MAX_STEPS):
        found = expit(weights @ inputs)
        gradient = inputs @ (found - targets)
        if np.abs(gradient).max() < TOLERANCE * len(targets):
            break
        # A constant score leaves one direction undetermined: the ridge keeps the step finite.
        hessian = (inputs * (found * (1 - found))) @ inputs.T + 1e-12 * np.eye(len(start))
        step = np.linalg.solve(hessian, gradient)
        factor = 1.0
        while (tried := _loss((weights - factor * step) @ inputs, targets)) > loss:
            factor /= 2
            if factor < 1e-10:
                return weights
        weights, loss = weights - factor * step, tried
    return weights


def _loss(logits: Floats, targets: Floats) -> float:
    return float(np.sum(np.logaddexp(0, logits) - targets * logits))
