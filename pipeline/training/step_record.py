"""What the training log keeps of an optimizer step."""

from dataclasses import dataclass

import torch

from strop.pipeline.config import Training
from strop.pipeline.profiling import model_wait
from strop.pipeline.training import health
from strop.pipeline.training.collator import GroupBatch
from strop.pipeline.training.ranks import Ranks

NO_HEALTH: health.Record = {"score_spread": 0.0, "violation_share": 0.0}
"""What the scores of no group say."""


@dataclass(frozen=True)
class Step:
    """A step whose gradients are being computed.

    ``batch`` are its groups, ``share`` those of this process or None, whose part of the mean
    ``loss`` and ``scores`` are on the device; ``carried`` is what `gradients.accumulate` tells;
    ``warm`` whether the first stage taught.
    """

    batch: GroupBatch
    share: GroupBatch | None
    loss: torch.Tensor
    scores: torch.Tensor
    carried: float
    warm: bool


def step_record(step: Step, config: Training, ranks: Ranks) -> health.Record:
    """The step's groups, mean loss and health, over the shares of all processes.

    Waits for the device: asked for late, a GPU is not idle meanwhile.
    """
    batch, share = step.batch, step.share
    with model_wait():
        loss, scores = float(step.loss), step.scores.cpu().numpy()
    spreads = NO_HEALTH if share is None else health.score_health(scores, share.offsets)
    if config.gradients == "selective":
        spreads = {**spreads, "carried": step.carried}
    loss, spreads = _of_all(loss, spreads, 0 if share is None else len(share), ranks=ranks)
    record = {
        "epoch": batch.epoch,
        "groups": len(batch),
        "pairs": int(batch.offsets[-1]),
        "tokens": batch.tokens,
        "loss": loss,
        "equal_scores_loss": health.equal_scores_loss(
            batch.members.weights, batch.offsets, batch.weights
        ),
        **spreads,
    }
    record["collapsed"] = not step.warm and health.is_collapsed(record, config)
    return record


def _of_all(
    loss: float, spreads: health.Record, groups: int, *, ranks: Ranks
) -> tuple[float, health.Record]:
    """The step's mean loss and the health of its scores, over the shares of all processes."""
    if ranks.size == 1:
        return loss, spreads
    weighted = [groups * value for value in spreads.values()]
    total, count, *sums = ranks.total([loss, groups, *weighted])
    return total, dict(zip(spreads, (value / count for value in sums), strict=True))
