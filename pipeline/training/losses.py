"""Losses over groups whose first member is the positive."""

import torch


def group_softmax(
    scores: torch.Tensor,
    group_of_member: torch.Tensor,
    positive_members: torch.Tensor,
    weights: torch.Tensor,
    *,
    temperature: float,
) -> torch.Tensor:
    """The weighted sum over groups of the softmax cross-entropy of the positive (InfoNCE).

    ``scores`` and ``group_of_member`` have one entry a member, ``positive_members`` and
    ``weights`` one a group; groups may differ in size. The caller divides by the step's number of
    groups. Source: van den Oord, Li, Vinyals, "Representation learning with contrastive
    predictive coding", 2018; for rerankers: Gao, Dai, Callan, "Rethink training of BERT rerankers
    in multi-stage retrieval pipeline", 2021 (localized contrastive estimation).
    """
    scaled = scores / temperature
    num_groups = len(positive_members)
    highest = torch.full((num_groups,), -torch.inf, dtype=scaled.dtype, device=scaled.device)
    highest = highest.scatter_reduce(0, group_of_member, scaled.detach(), reduce="amax")
    below = scaled - highest[group_of_member]
    sums = torch.zeros(num_groups, dtype=scaled.dtype, device=scaled.device)
    log_sums = sums.index_add(0, group_of_member, below.exp()).log()
    return (weights * (log_sums - below[positive_members])).sum()
