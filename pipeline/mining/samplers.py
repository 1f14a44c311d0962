"""Samplers: which of a query's allowed candidates become its negatives."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from strop.pipeline.arrays import Floats, Ints
from strop.pipeline.config import Mining

Chosen = tuple[Ints, list[str]]


@dataclass(frozen=True)
class Draw:
    """The allowed candidates of one query, how many of them to take, and the randomness.

    ``scores`` are mining scores and ``first_stage_scores`` parallel to them; a candidate without
    one (NaN) counts as easier than all that have one. ``positive_score`` is what the query's
    margin is measured from, NaN without one. ``hardness`` from 0 to 1 is the curriculum's factor
    on the hard quotas of `mixed`.
    """

    scores: Floats
    first_stage_scores: Floats
    positive_score: float
    count: int
    hardness: float
    config: Mining
    random: np.random.Generator


def top(draw: Draw) -> Chosen:
    """The candidates with the highest scores, best first."""
    chosen = _hardest_first(draw.scores)[: draw.count]
    return chosen, ["top"] * len(chosen)


def uniform(draw: Draw) -> Chosen:
    """Candidates at random, without repetition."""
    chosen = draw.random.permutation(len(draw.scores))[: draw.count]
    return np.sort(chosen), ["uniform"] * len(chosen)


def log_rank(draw: Draw) -> Chosen:
    """Candidates at random, the hard ones preferred: rank r has the weight log(1 + 1 / r).

    Ranks are those of the mining score among the allowed candidates. The weights fall off like
    1 / r, but less steeply at the head.
    """
    ranks = np.empty(len(draw.scores))
    ranks[_hardest_first(draw.scores)] = np.arange(1, len(draw.scores) + 1)
    keys = np.log(np.log1p(1 / ranks)) + draw.random.gumbel(size=len(ranks))
    chosen = np.sort(_hardest_first(keys)[: draw.count])
    return chosen, ["log_rank"] * len(chosen)


def simans(draw: Draw) -> Chosen:
    """Candidates at random, those near the positive's score preferred.

    The weight of a candidate is exp(-a · (score - positive - b)²), SimANS (Zhou et al. 2022,
    arXiv:2210.11773, equation 3); without a positive's score all weigh the same. Candidates that
    were not scored fill the places that are left, at random.
    """
    distances = draw.scores - draw.positive_score - draw.config.simans_offset
    scored = ~np.isnan(draw.scores)
    weights = np.nan_to_num(-draw.config.simans_steepness * distances**2, nan=0.0)
    # Taking the largest of log weight + Gumbel noise draws by weight without repetition (Kool et
    # al. 2019), and no weight is too small for it.
    keys = weights + draw.random.gumbel(size=len(weights))
    chosen = np.sort(np.lexsort((-keys, ~scored))[: draw.count])
    return chosen, ["simans" if known else "uniform" for known in scored[chosen]]


def quantile(draw: Draw) -> Chosen:
    """Candidates at random from a band of the scores' quantiles, 0 the easiest and 1 the hardest.

    Of n candidates the i-th easiest is the quantile (i - 1/2) / n. A band with too few candidates
    is not filled up from outside.
    """
    order = _hardest_first(draw.scores)[::-1]
    places = (np.arange(len(order)) + 0.5) / max(len(order), 1)
    low, high = draw.config.quantile_low, draw.config.quantile_high
    band = np.sort(order[(places >= low) & (places <= high)])
    chosen = band[draw.random.permutation(len(band))[: draw.count]]
    return np.sort(chosen), ["quantile"] * len(chosen)


def mixed(draw: Draw) -> Chosen:
    """The hardest by the mining score, then by the first stage's, the rest at random.

    The shares of the count are ``config.quotas``, the hard ones times ``hardness``: what that
    takes from them goes to the random ones. Places of `in_batch_count` are left free.
    """
    quotas, hardness = draw.config.quotas, draw.hardness
    count = draw.count - in_batch_count(draw.count, draw.config)
    share = quotas.reranker_hard * hardness
    num_hard = min(round(draw.count * share), count)
    both = min(round(draw.count * (share + quotas.first_stage_hard * hardness)), count)
    order = _hardest_first(draw.scores)
    hard, left = order[:num_hard], np.sort(order[num_hard:])
    first = left[_hardest_first(draw.first_stage_scores[left])[: both - len(hard)]]
    left = np.setdiff1d(left, first) if len(first) else left
    taken = len(hard) + len(first)
    rest = left[draw.random.permutation(len(left))[: count - taken]]
    names = ["top"] * len(hard) + ["first_stage"] * len(first) + ["uniform"] * len(rest)
    return np.concatenate([hard, first, np.sort(rest)]), names


def in_batch_count(count: int, config: Mining) -> int:
    """How many of ``count`` negatives the sampler leaves to positives of other queries."""
    return round(count * config.quotas.in_batch) if config.sampler == "mixed" else 0


def _hardest_first(scores: Floats) -> Ints:
    """Places by falling score, the first of equals first and NaN last."""
    return np.argsort(-scores, kind="stable")


SAMPLERS: dict[str, Callable[[Draw], Chosen]] = {
    "top": top,
    "uniform": uniform,
    "log_rank": log_rank,
    "simans": simans,
    "quantile": quantile,
    "mixed": mixed,
}
