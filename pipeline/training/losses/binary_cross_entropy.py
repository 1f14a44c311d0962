"""Every pair by itself: relevant or not."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from strop.pipeline.training.losses.scored_groups import ScoredGroups


def binary_cross_entropy(groups: ScoredGroups, *, positive_weight: float) -> torch.Tensor:
    """The weighted sum over groups of the mean binary cross-entropy of the group's members.

    The label is 1 for the positive and 0 for negatives; the positive's term counts
    ``positive_weight`` times in a mean that is still divided by the number of members, as torch's
    ``pos_weight`` does. It is the only loss here that fixes the level of the scores.
    Temperature: does not enter, sigmoid(score) itself is the probability. Member weights: weights
    of the mean. Grades: any grade above 0 is the label 1. Several positives: one a group, the
    others in no group of the query.

    Source: Nogueira, Cho, "Passage re-ranking with BERT", 2019.
    """
    losses = binary_cross_entropy_with_logits(
        groups.scores,
        (groups.grades > 0).to(groups.scores.dtype),
        pos_weight=groups.scores.new_tensor(positive_weight),
        reduction="none",
    )
    return groups.weighted_sum(groups.mean(groups.rows(losses), groups.present))
