"""Kullback-Leibler divergence from a teacher's distribution over the group."""

import torch

from strop.pipeline.training.losses.scored_groups import ScoredGroups


def kl(groups: ScoredGroups, *, temperature: float, teacher_temperature: float) -> torch.Tensor:
    """The weighted sum over groups of KL(teacher ‖ reranker), both softmaxes over the group.

    No mean over members: a distribution sums to 1 whatever the size. It is 0 where the scores over
    ``temperature`` differ from the teacher's over ``teacher_temperature`` by a constant. The factor
    temperature² that keeps gradients of different temperatures alike is left to the loss's weight.
    Temperature: divides the scores; the teacher's have their own. Member weights: enter both
    softmaxes as weight · exp(…), so that a member of weight 0 would be as if absent. Grades: do
    not enter, the teacher grades. Several positives: one a group, the others in no group of the
    query. Raises `InputError` without teacher scores.

    Source: Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015.
    """
    teacher = _log_softmax(groups, groups.teacher_logits("kl") / teacher_temperature)
    reranker = _log_softmax(groups, groups.scores / temperature)
    return groups.weighted_sum((teacher.exp() * groups.present * (teacher - reranker)).sum(dim=1))


def _log_softmax(groups: ScoredGroups, values: torch.Tensor) -> torch.Tensor:
    """The logarithms of the softmax over each group as rows, 0 where nobody is."""
    logits = groups.rows(values) + groups.log_weight_rows
    return logits.log_softmax(dim=1).masked_fill(~groups.present, 0.0)
