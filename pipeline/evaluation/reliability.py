"""How far probabilities are from what is labelled: ECE, Brier score and the reliability table."""

from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from strop.artifacts.schemas import RELIABILITY
from strop.pipeline.evaluation.ranking import BoolArray, FloatArray, IntArray

NUM_BINS = 15
"""As in Guo et al. (2017)."""
TITLES = {
    "none": "sigmoid of the logit",
    "platt": "Platt scaling",
    "isotonic": "isotonic regression",
    "temperature": "temperature scaling",
}
"""What people read for each ``calibration`` of a table."""


def sigmoid(logits: FloatArray) -> FloatArray:
    """The probability that a logit stands for where a loss has fixed its level."""
    return np.asarray(expit(logits), np.float64)


def calibration_errors(probabilities: FloatArray, positive: BoolArray) -> dict[str, float]:
    """``ece``, ``brier``, and the Brier score of giving every candidate the share of positives."""
    share = float(positive.mean())
    return {
        "ece": expected_calibration_error(probabilities, positive),
        "brier": brier_score(probabilities, positive),
        "brier_of_base_rate": share * (1 - share),
    }


def brier_score(probabilities: FloatArray, positive: BoolArray) -> float:
    """The mean squared distance of the probabilities from 1 for positives and 0 (Brier 1950)."""
    return float(((probabilities - positive) ** 2).mean())


def expected_calibration_error(
    probabilities: FloatArray, positive: BoolArray, *, num_bins: int = NUM_BINS
) -> float:
    """The mean distance of share and mean probability over bins, weighted by their counts.

    Guo et al. (2017), with bins of equal mass (Nguyen and O'Connor 2015): among candidates,
    positives are rare, and bins of equal width would hold nearly all of them in one.
    """
    bins = _bins(probabilities, num_bins)
    counts, predicted, shares = _means(bins, probabilities, positive)
    return float((counts * np.abs(predicted - shares)).sum() / len(probabilities))


def reliability_table(
    probabilities: FloatArray,
    positive: BoolArray,
    *,
    split: str,
    calibration: str,
    num_bins: int = NUM_BINS,
) -> pa.Table:
    """`RELIABILITY` rows, by rising probability: the bins of `expected_calibration_error`.

    ``low`` and ``high`` are the least and the largest probability in the bin.
    """
    bins = _bins(probabilities, num_bins)
    counts, predicted, shares = _means(bins, probabilities, positive)
    columns: dict[str, Any] = {
        "split": [split] * len(counts),
        "calibration": [calibration] * len(counts),
        "low": [probabilities[bins == number].min() for number in range(len(counts))],
        "high": [probabilities[bins == number].max() for number in range(len(counts))],
        "mean_predicted": predicted,
        "share_positive": shares,
        "count": counts,
    }
    return pa.table(columns).cast(RELIABILITY)


def _bins(probabilities: FloatArray, num_bins: int) -> IntArray:
    """The bin of each row, numbered from 0 without gaps; equal values are never parted.

    Where many values are equal, bins are fewer and larger.
    """
    edges = np.percentile(probabilities, np.linspace(0, 1, num_bins + 1)[1:-1] * 100)
    found = np.searchsorted(edges, probabilities, "left")
    return np.asarray(np.unique(found, return_inverse=True)[1], np.int64)


def _means(
    bins: IntArray, probabilities: FloatArray, positive: BoolArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    counts = np.bincount(bins)
    return counts, np.bincount(bins, probabilities) / counts, np.bincount(bins, positive) / counts
