"""What the losses of a step see: its groups' scores, alone or beside the first stage's."""

import torch

from strop.pipeline.config import Training
from strop.pipeline.config.losses import Kl, Loss
from strop.pipeline.scoring.on_device import on_device
from strop.pipeline.training.collator import GroupBatch
from strop.pipeline.training.losses.scored_groups import ScoredGroups

WARM_START = (Kl(name="kl"),)
"""The loss of a warm start, whose teacher is the first stage."""


def supervised(
    batch: GroupBatch, part: tuple[int, int], scores: torch.Tensor, config: Training, *, warm: bool
) -> tuple[ScoredGroups, tuple[Loss, ...]]:
    """The groups of a part (first and last, exclusive) with their scores, and the losses on them.

    In a ``warm`` step the first stage teaches; in others its scores are added where the config
    trains what the reranker adds to them.
    """
    first, last = part
    start, end = batch.offsets[first], batch.offsets[last]
    if warm or config.residual_weight:
        prior = on_device(batch.members.first_stage_scores[start:end], scores.device)
        if warm:
            return batch.scored(first, last, scores, teacher_scores=prior), WARM_START
        scores = scores + config.residual_weight * prior
    return batch.scored(first, last, scores), config.losses
