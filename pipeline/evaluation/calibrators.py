"""Calibrators: monotone functions of a logit, kept as plain numbers, that give probabilities."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from strop.pipeline.evaluation.ranking import BoolArray, FloatArray
from strop.pipeline.mining.calibration import fit_calibration

LARGEST_TEMPERATURE = 100.0
"""Either way: a temperature lies between its inverse and it, so that the fit has an end."""


@dataclass(frozen=True)
class Platt:
    """A logistic curve (Platt 1999): ``slope`` and ``intercept``, both in logits."""

    slope: float
    intercept: float

    def probabilities(self, logits: FloatArray) -> FloatArray:
        """One a logit."""
        return np.asarray(expit(self.slope * logits + self.intercept), np.float64)


@dataclass(frozen=True)
class Temperature:
    """A stretched sigmoid (Guo et al. 2017); it cannot move the level of the scores."""

    temperature: float

    def probabilities(self, logits: FloatArray) -> FloatArray:
        """One a logit."""
        return np.asarray(expit(logits / self.temperature), np.float64)


@dataclass(frozen=True)
class Isotonic:
    """A rising line through points (Zadrozny and Elkan 2002), level below and above them."""

    logits: tuple[float, ...]
    shares: tuple[float, ...]

    def probabilities(self, logits: FloatArray) -> FloatArray:
        """One a logit."""
        return np.asarray(np.interp(logits, self.logits, self.shares), np.float64)


Calibrator = Platt | Temperature | Isotonic


def fit_platt(logits: FloatArray, positive: BoolArray) -> Platt:
    """The logistic curve of the least cross-entropy among those that do not fall.

    Where positives score lower than others the best such curve is level: the share of positives.
    """
    found = fit_calibration(logits, positive)
    if found.slope < 0:
        found = fit_calibration(np.zeros(len(logits)), positive)
        return Platt(0.0, found.intercept)
    return Platt(found.slope, found.intercept)


def fit_temperature(logits: FloatArray, positive: BoolArray) -> Temperature:
    """The temperature of the least cross-entropy, which has one minimum."""

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float((np.logaddexp(0, scaled) - positive * scaled).mean())

    end = float(np.log(LARGEST_TEMPERATURE))
    found = minimize_scalar(loss, bounds=(-end, end), method="bounded", options={"xatol": 1e-8})
    return Temperature(float(np.exp(found.x)))


def fit_isotonic(logits: FloatArray, positive: BoolArray) -> Isotonic:
    """The rising function of the least squared distance, by scikit-learn."""
    found = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(logits, positive)
    return Isotonic(tuple(found.X_thresholds_.tolist()), tuple(found.y_thresholds_.tolist()))


FITS: dict[str, Callable[[FloatArray, BoolArray], Calibrator]] = {
    "platt": fit_platt,
    "isotonic": fit_isotonic,
    "temperature": fit_temperature,
}
"""How each ``evaluation.calibration`` is fitted to logits and whether each is a positive's."""
KINDS: dict[str, type[Calibrator]] = {
    "platt": Platt,
    "isotonic": Isotonic,
    "temperature": Temperature,
}
FORMULAS = {
    "platt": "probability = 1 / (1 + exp(-(slope * logit + intercept)))",
    "isotonic": "probability = shares interpolated linearly at logits, level outside of them",
    "temperature": "probability = 1 / (1 + exp(-logit / temperature))",
}


def to_values(method: str, calibrator: Calibrator) -> dict[str, Any]:
    """The calibrator as the plain numbers of a ``calibration.json``."""
    return {"method": method, "formula": FORMULAS[method], **asdict(calibrator)}


def from_values(values: dict[str, Any]) -> Calibrator:
    """The calibrator that `to_values` wrote down; other keys are left alone."""
    kind = KINDS[values["method"]]
    numbers = {item.name: values[item.name] for item in fields(kind)}
    plain: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in numbers.items()}
    return kind(**plain)
