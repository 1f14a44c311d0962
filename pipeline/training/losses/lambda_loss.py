"""LambdaLoss with the weights of nDCG-Loss2++."""

import math

import torch
from torch.nn.functional import logsigmoid

from strop.pipeline.training.losses.scored_groups import ScoredGroups


def lambda_loss(
    groups: ScoredGroups, *, scale: float, cutoff: int | None, pair_weight: float
) -> torch.Tensor:
    """The weighted sum over groups of the mean weighted logistic loss of (positive, negative).

    A pair's loss is log2(1 + exp(-σ (s_p - s_n))) with ``scale`` σ. Its weight is
    μ · |1/D(|r_p - r_n|) - 1/D(|r_p - r_n| + 1)| + |1/D(r_p) - 1/D(r_n)| with ``pair_weight`` μ,
    D(r) = log2(1 + r) and r the rank by score within the group; it is a constant to the gradient.
    With a ``cutoff`` k only pairs count of which at least one member is among the first k.
    The mean is over the pairs that count. Ties keep the order of the members, positive first.
    Temperature: does not enter, σ takes its place. Member weights: of the negative, weights of the
    mean; ranks count every member. Grades: a gain 2^grade - 1 is divided by the ideal DCG of the
    group, which with one positive is the same, so its grade cancels. Several positives: one a
    group, the others in no group of the query.

    Source: Wang, Li, Golbandi, Bendersky, Najork, "The LambdaLoss framework for ranking metric
    optimization", 2018.
    """
    ranks = _ranks(groups)
    losses = -logsigmoid(scale * groups.margins(groups.scores)) / math.log(2)
    weights = pair_weight * _gap_change(ranks) + _swap_change(ranks)
    counted = groups.negatives
    if cutoff is not None:
        counted = counted & ((ranks <= cutoff) | (ranks[:, :1] <= cutoff))
    return groups.weighted_sum(groups.mean(weights * losses, counted))


def _ranks(groups: ScoredGroups) -> torch.Tensor:
    """Every member's rank by score within its group, from 1; padding comes last."""
    scores = groups.rows(groups.scores.detach(), padding=-torch.inf)
    order = scores.argsort(dim=1, descending=True, stable=True)
    return (order.argsort(dim=1) + 1).to(scores.dtype)


def _gap_change(ranks: torch.Tensor) -> torch.Tensor:
    """By how much the discounts change one rank further apart than each member and the positive."""
    gaps = (ranks - ranks[:, :1]).abs().clamp(min=1)
    return _discount(gaps) - _discount(gaps + 1)


def _swap_change(ranks: torch.Tensor) -> torch.Tensor:
    """By how much the discounts of each member and the positive differ."""
    return (_discount(ranks) - _discount(ranks[:, :1])).abs()


def _discount(ranks: torch.Tensor) -> torch.Tensor:
    return 1 / torch.log2(1 + ranks)
