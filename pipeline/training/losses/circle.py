"""Circle loss over the logits' sigmoids."""

import torch

from strop.pipeline.training.losses.scored_groups import ScoredGroups


def circle(groups: ScoredGroups, *, margin: float, scale: float) -> torch.Tensor:
    """The weighted sum over groups of the circle loss of the members' similarities.

    With similarities s = sigmoid(score) in (0, 1), margin m and scale γ, a group's loss is
    log(1 + Σ exp(γ α_n (s_n - m)) · exp(-γ α_p (s_p - 1 + m))) over its negatives n, where the
    weights α_p = max(0, 1 + m - s_p) and α_n = max(0, s_n + m) let far-off members pull harder and
    are constants to the gradient. No mean over members: the logarithm of the sum keeps large groups
    in proportion. Far from 0 a sigmoid is flat, so logits like ±50 get no gradient.
    Temperature: does not enter, γ takes its place. Member weights: of negatives, as factors of
    their terms of the sum. Grades: only tell the positive apart. Several positives: one a group,
    the others in no group of the query.

    Source: Sun et al., "Circle loss: a unified perspective of pair similarity optimization", 2020.
    """
    similarities = groups.rows(groups.scores).sigmoid()
    constant = similarities.detach()
    pulled = (1 + margin - constant[:, :1]).clamp(min=0) * (similarities[:, :1] - (1 - margin))
    pushed = (constant + margin).clamp(min=0) * (similarities - margin)
    terms = scale * (pushed - pulled) + groups.log_weight_rows
    # The 1 of log(1 + …) takes the place of the positive, which has no term of its own.
    one = torch.zeros_like(terms[:, :1])
    return groups.weighted_sum(torch.cat([one, terms[:, 1:]], dim=1).logsumexp(dim=1))
