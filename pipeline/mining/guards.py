"""Guards against false negatives: candidates that score too near their positives.

Every rule is strict, and no rule suspects a candidate without a score or a reference (NaN).
"""

from typing import Any, Literal

import numpy as np

from strop.pipeline.arrays import Floats, Ints

Reference = Literal["weakest", "mean", "strongest"]


def positive_reference(
    query_codes: Ints, scores: Floats, positive: Any, num_queries: int, reference: Reference
) -> Floats:
    """The score of each query's positives that margins are measured from; NaN without one."""
    codes, values = query_codes[positive], scores[positive]
    if reference == "mean":
        counts = np.bincount(codes, minlength=num_queries)
        sums = np.bincount(codes, weights=values, minlength=num_queries)
        means = np.full(num_queries, np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means
    start, extreme = (np.inf, np.minimum) if reference == "weakest" else (-np.inf, np.maximum)
    found = np.full(num_queries, start)
    extreme.at(found, codes, values)
    return np.where(np.isinf(found), np.nan, found)


def above_margin(scores: Floats, reference: Floats, margin: float) -> Any:
    """Which candidates score above their reference minus an absolute margin; bool per row.

    Group softmax fixes only differences of scores, so the rule is unchanged when all scores of a
    query move together. A share of the positive's score, as in ``positive * (1 - m)``, would not
    be, and turns round for negative logits.
    """
    return scores > reference - margin


def above_relative(scores: Floats, reference: Floats, share: float) -> Any:
    """Which candidates score above their reference minus a share of its size; bool per row.

    For cosines and calibrated scores: the threshold moves when all scores move together, and its
    distance vanishes for a reference near zero. The rule of `mine_hard_negatives(relative_margin=)`
    in sentence-transformers; for positive references NV-Retriever's TopK-PercPos with 1 - share.
    """
    return scores > reference - np.abs(reference) * share


def above_percentage(scores: Floats, reference: Floats, share: float) -> Any:
    """Which candidates score above a share of their reference; bool per row.

    TopK-PercPos of NV-Retriever (Moreira et al. 2024, arXiv:2407.15831, section 3.2), which found
    0.95 best. For cosines and calibrated scores: a negative reference turns the rule round.
    """
    return scores > share * reference


def above_probability(probabilities: Floats, threshold: float) -> Any:
    """Which candidates are more probably relevant than the threshold; bool per row."""
    return probabilities > threshold
