"""Guards fitted from data: known positives are hidden, and the threshold must catch them."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from strop.pipeline.arrays import Floats, Ints
from strop.pipeline.errors import InputError
from strop.pipeline.mining.guards import (
    Reference,
    above_margin,
    above_probability,
    positive_reference,
)

MIN_HIDDEN = 20
"""Fewer hidden positives say too little about where others lie."""


@dataclass(frozen=True)
class FittedGuard:
    """A threshold, how many hidden positives it was fitted to, and what it does.

    ``threshold`` is the margin in the unit of the scores, or a probability. ``caught_share`` is
    measured on the half of the data that the threshold was not fitted to, in turns;
    ``refused_share`` is the share of all candidates but positives that become suspects.
    """

    threshold: float
    hidden: int
    caught_share: float
    refused_share: float


def fit_margin(
    codes: Ints,
    scores: Floats,
    positive: Any,
    *,
    reference: Reference,
    caught_share: float,
    in_window: Any | None = None,
) -> FittedGuard:
    """The margin that suspects ``caught_share`` of positives which nobody had labelled.

    Each positive of a query with several is hidden in turn and compared with the reference of the
    others. Rows are sorted by ``codes`` and all scored; the margin may be negative. Where
    ``in_window`` says which rows retrieval found, only those are hidden: a positive that it missed
    could not have become a negative, and scores lower than those that could. Raises `InputError`
    with fewer than `MIN_HIDDEN` hidden positives.
    """
    hidden, gaps = _hidden(codes, scores, positive, reference)
    if in_window is not None:
        hidden, gaps = hidden[in_window[hidden]], gaps[in_window[hidden]]
    _enough(len(gaps), "positives that can be hidden (found ones of queries with two or more)")
    margin = _catching(gaps, caught_share)
    queries = np.unique(codes[hidden], return_inverse=True)[1]
    halves = queries % 2 if queries.max() > 0 else np.arange(len(gaps)) % 2
    of_rows = positive_reference(codes, scores, positive, int(codes.max()) + 1, reference)[codes]
    refused = above_margin(scores, of_rows, margin)[~positive]
    return FittedGuard(margin, len(gaps), _out_of_half(gaps, halves, caught_share), _share(refused))


def fit_probability(
    probabilities: Floats, positive: Any, *, caught_share: float, in_window: Any | None = None
) -> FittedGuard:
    """The probability above which ``caught_share`` of the positives lie; works with single ones.

    ``in_window`` as for `fit_margin`. Raises `InputError` with fewer than `MIN_HIDDEN` positives.
    """
    known = ~np.isnan(probabilities)
    hidden = positive & known if in_window is None else positive & known & in_window
    gaps = -probabilities[hidden]
    _enough(len(gaps), "positives among the candidates")
    threshold = -_catching(gaps, caught_share)
    halves = np.arange(len(gaps)) % 2
    refused = above_probability(probabilities[known & ~positive], threshold)
    caught = _out_of_half(gaps, halves, caught_share)
    return FittedGuard(threshold, len(gaps), caught, _share(refused))


def _hidden(
    codes: Ints, scores: Floats, positive: Any, reference: Reference
) -> tuple[Ints, Floats]:
    """Positives of queries with several, and how far each lies below the others' reference."""
    rows = np.flatnonzero(positive)
    rows = rows[np.lexsort((scores[rows], codes[rows]))]
    counts = np.unique(codes[rows], return_counts=True)[1]
    rows, several = rows[np.repeat(counts > 1, counts)], counts[counts > 1]
    values, ends = scores[rows], np.cumsum(several)
    others = np.repeat(several, several) - 1
    if reference == "mean":
        sums = np.repeat(np.add.reduceat(values, ends - several), several) if len(ends) else values
        return rows, (sums - values) / others - values
    # Values rise within a query: the extreme of the others is the query's, or the one beside it.
    extreme, beside = (ends - several, 1) if reference == "weakest" else (ends - 1, -1)
    rest = np.repeat(extreme, several)
    rest[extreme] += beside
    return rows, values[rest] - values


def _catching(gaps: Floats, share: float) -> float:
    """The least threshold that this share of gaps lies strictly under."""
    last = float(np.sort(gaps)[ceil(share * len(gaps)) - 1])
    # Beyond what rounding can do to `reference - margin`, and far below any meaning of a score.
    return last + 1e-9 * max(1.0, abs(last))


def _out_of_half(gaps: Floats, halves: Ints, share: float) -> float:
    caught = [gaps[halves == half] < _catching(gaps[halves != half], share) for half in (0, 1)]
    return _share(np.concatenate(caught))


def _share(chosen: Any) -> float:
    return float(np.mean(chosen)) if len(chosen) else 0.0


def _enough(found: int, what: str) -> None:
    if found < MIN_HIDDEN:
        raise InputError(
            f"mining.guard.caught_share: found {found} {what}, expected at least {MIN_HIDDEN}; "
            "set caught_share to null and mining.guard.margin or probability by hand"
        )
