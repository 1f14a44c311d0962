"""What the training log keeps of an optimizer step."""

from dataclasses import dataclass

import torch

from strop.pipeline.config import Training
from strop.pipeline.profiling import model_wait
from strop.pipeline.progress import Progress
from strop.pipeline.scoring.on_device import OnItsWay, on_its_way
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


@dataclass(frozen=True)
class TakenStep:
    """An optimizer step that is queued: its loss, its gradient's norm and its scores come."""

    step: Step
    numbers: OnItsWay
    learning_rate: float


@dataclass
class StepRecorder:
    """Keeps the ``records`` of a training's steps, tells of them, and stops what is not well."""

    records: list[health.Record]
    config: Training
    precision: str
    limits: health.Limits
    ranks: Ranks
    progress: Progress
    _taken: TakenStep | None = None

    def take(self, step: Step, gradient_norm: torch.Tensor | float, learning_rate: float) -> None:
        """Let the device hand over a step's numbers as soon as its optimizer's step is done."""
        device = step.loss.device
        norm = torch.as_tensor(gradient_norm, dtype=torch.float32, device=device)
        numbers = torch.cat([torch.stack([step.loss.float(), norm]), step.scores.to(device)])
        self._taken = TakenStep(step, on_its_way(numbers), learning_rate)

    def record(self) -> health.Record | None:
        """Record the step that was taken last, or None if that was done; waits for its numbers.

        Raises `InputError` when the training is not well.
        """
        if self._taken is None:
            return None
        found, self._taken = step_record(self._taken, self.config, self.ranks), None
        health.check_loss(len(self.records) + 1, found["loss"], self.precision)
        self.records.append(found)
        self.progress.advance(int(found["pairs"]))
        count, norm = len(self.records), found["gradient_norm"]
        health.check_gradient(count, norm, self.precision, self.records)
        health.check_collapse(self.records, self.limits, self.config)
        return found


def step_record(found: TakenStep, config: Training, ranks: Ranks) -> health.Record:
    """The step's groups, mean loss and health, over the shares of all processes.

    Waits until the device has carried the step out.
    """
    batch, share = found.step.batch, found.step.share
    with model_wait():
        numbers = found.numbers.read()
    loss, norm, scores = float(numbers[0]), float(numbers[1]), numbers[2:]
    spreads = NO_HEALTH if share is None else health.score_health(scores, share.offsets)
    if config.gradients == "selective":
        spreads = {**spreads, "carried": found.step.carried}
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
        "gradient_norm": norm,
        "learning_rate": found.learning_rate,
        **spreads,
    }
    record["collapsed"] = not found.step.warm and health.is_collapsed(record, config)
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
