"""The weighted sum of the config's losses."""

from collections.abc import Callable

import torch

from strop.pipeline.config import Loss
from strop.pipeline.training.losses.binary_cross_entropy import binary_cross_entropy
from strop.pipeline.training.losses.circle import circle
from strop.pipeline.training.losses.group_softmax import group_softmax
from strop.pipeline.training.losses.kl import kl
from strop.pipeline.training.losses.lambda_loss import lambda_loss
from strop.pipeline.training.losses.margin_mse import margin_mse
from strop.pipeline.training.losses.scored_groups import ScoredGroups

LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "group_softmax": group_softmax,
    "binary_cross_entropy": binary_cross_entropy,
    "circle": circle,
    "lambda": lambda_loss,
    "margin_mse": margin_mse,
    "kl": kl,
}
"""The losses by their names in the config, whose other fields are their arguments."""
TEMPERED = ("group_softmax", "kl")
"""Losses whose scores are divided by the training temperature."""


def total_loss(
    groups: ScoredGroups, losses: tuple[Loss, ...], *, temperature: float
) -> torch.Tensor:
    """The sum over groups of the losses by their weights; the caller divides by its groups.

    Dividing by the number of groups of the whole optimizer step gives the same gradients however
    the step is cut into parts. Raises `InputError` when a loss needs a teacher and there is none.
    """
    total = torch.zeros((), dtype=groups.scores.dtype, device=groups.scores.device)
    for loss in losses:
        arguments = loss.model_dump(exclude={"name", "weight"})
        if loss.name in TEMPERED:
            arguments["temperature"] = temperature
        total = total + loss.weight * LOSSES[loss.name](groups, **arguments)
    return total
