"""Squared distance of the margins to a teacher's margins."""

import torch

from strop.pipeline.training.losses.scored_groups import ScoredGroups


def margin_mse(groups: ScoredGroups) -> torch.Tensor:
    """The weighted sum over groups of the mean of ((s_p - s_n) - (t_p - t_n))² over negatives.

    s are the scores and t the teacher's, in the teacher's own logits: the reranker takes over their
    scale, and teachers of probabilities should be turned into logits first. Groups without
    negatives have 0.
    Temperature: does not enter. Member weights: of the negative, weights of the mean. Grades: only
    tell the positive apart, the teacher grades. Several positives: one a group, the others in no
    group of the query. Raises `InputError` without teacher scores.

    Source: Hofstätter et al., "Improving efficient neural ranking models with cross-architecture
    knowledge distillation", 2020.
    """
    targets = groups.margins(groups.teacher_logits("margin_mse"))
    errors = groups.margins(groups.scores) - targets
    return groups.weighted_sum(groups.mean(errors.square(), groups.negatives))
