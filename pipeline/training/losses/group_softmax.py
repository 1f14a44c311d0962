"""Softmax cross-entropy of the positive over its group."""

import torch

from strop.pipeline.training.losses.scored_groups import ScoredGroups


def group_softmax(groups: ScoredGroups, *, temperature: float) -> torch.Tensor:
    """The weighted sum over groups of -log(softmax of the positive among its group) (InfoNCE).

    A group of n members with equal scores has the loss ln(n); one without negatives has 0. No mean
    over members: the logarithm of the sum keeps large groups in proportion.
    Temperature: divides the scores. Member weights: enter as weight · exp(score / temperature), so
    that a member of weight 0 would be as if absent. Grades: only tell the positive apart; its grade
    does not count. Several positives: one a group, the others in no group of the query.

    Source: van den Oord, Li, Vinyals, "Representation learning with contrastive predictive
    coding", 2018; for rerankers: Gao, Dai, Callan, "Rethink training of BERT rerankers in
    multi-stage retrieval pipeline", 2021 (localized contrastive estimation).
    """
    logits = groups.rows(groups.scores / temperature) + groups.log_weight_rows
    return groups.weighted_sum(-logits.log_softmax(dim=1)[:, 0])
