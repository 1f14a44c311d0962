"""A Trainer whose step runs ragged groups in token-budget micro-batches with exact gradients."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.utils.data import SequentialSampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from strop.pipeline.arrays import Ints
from strop.pipeline.config import Training
from strop.pipeline.config.losses import Kl
from strop.pipeline.profiling import model_call
from strop.pipeline.progress import Progress
from strop.pipeline.scoring.batches import Batching, token_budget_batches
from strop.pipeline.scoring.dense_layers import fast_dense_layers
from strop.pipeline.scoring.first_token import first_token_only
from strop.pipeline.scoring.forward import logits, padded_batch
from strop.pipeline.training import checkpoints, gradients, health
from strop.pipeline.training.arguments import resolved_precision
from strop.pipeline.training.collator import GroupBatch, GroupCollator, GroupPositions
from strop.pipeline.training.losses.scored_groups import ScoredGroups
from strop.pipeline.training.losses.total_loss import total_loss
from strop.pipeline.training.schedule import Factor

WARM_START = (Kl(name="kl"),)
"""The loss of a warm start, whose teacher is the first stage."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Course:
    """What happens in which step of a training.

    ``factor`` is on the learning rate; the first ``warm_start_steps`` distil the first stage;
    ``measure``, when given, ranks dev by ``metric`` every ``evaluate_every`` steps and at the end;
    a checkpoint is written into ``checkpoint_folder`` every ``checkpoint_steps``.
    """

    factor: Factor
    limits: health.Limits = health.UNLIMITED
    warm_start_steps: int = 0
    measure: Callable[[], float] | None = None
    metric: str = ""
    checkpoint_folder: Path | None = None
    checkpoint_steps: int | None = None


class GroupTrainer(Trainer):  # type: ignore[misc]
    """Trains on ragged groups; every step's record is kept in ``records``.

    A loss needs all scores of a group at once, so whole groups are run together, in micro-batches
    sorted by length, as `gradients` says. Losses are divided by the step's number of groups, so
    gradients equal those of one padded batch.
    """

    def __init__(
        self,
        *,
        config: Training,
        collator: GroupCollator,
        course: Course,
        progress: Progress,
        model: Any,
        args: TrainingArguments,
    ) -> None:
        """Wire the collator and the course into transformers' Trainer."""
        self.records = checkpoints.Records()
        self._config = config
        self._course = course
        self._pad = collator.template.pad
        self._precision = resolved_precision(config)
        self._progress = progress
        super().__init__(
            model=model,
            args=args,
            data_collator=collator,
            train_dataset=GroupPositions(len(collator.groups)),
            callbacks=[StepCalls(course, config, self.records, progress)],
        )
        self.remove_callback(PrinterCallback)

    def _get_train_sampler(self, *arguments: Any, **options: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The course of the learning rate over all rounds, seen from this round."""
        chosen = optimizer or self.optimizer
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(chosen, self._course.factor)
        return self.lr_scheduler

    def go_on(self) -> None:
        """Train from the last whole checkpoint, or from the start."""
        found = checkpoints.last_whole(self._course.checkpoint_folder)
        if found is not None:
            self.records.load(found)
            self._progress.advance(int(sum(step["pairs"] for step in self.records.steps)))
        self.train(resume_from_checkpoint=None if found is None else str(found))

    def training_step(
        self, model: Any, inputs: dict[str, GroupBatch], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Accumulate the gradients of one step's groups; returns their mean loss."""
        batch = inputs["groups"]
        model.train()
        total, scores = torch.zeros((), device=self.args.device), []
        fast = fast_dense_layers(self.model, training=True)
        with model_call(), first_token_only(self.model), fast:
            for first, last in gradients.parts(batch.tokens_by_group, self._config):
                loss, found = self._part(model, batch, first, last)
                total += loss
                scores.append(found)
        self._record(batch, float(total), torch.cat(scores).cpu().numpy())
        return total

    def _part(
        self, model: Any, batch: GroupBatch, first: int, last: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss and scores of some groups, their gradients accumulated."""
        start, end = batch.offsets[first], batch.offsets[last]
        lengths = batch.pairs.tokens.lengths[start:end]
        batching = Batching.on(self.args.device, self._config.micro_batch_tokens)
        batches = list(token_budget_batches(lengths, batching))
        two = gradients.in_two_passes(int(lengths.sum()), self._config)
        run = gradients.two_pass if two else gradients.kept
        return run(
            partial(self._scores, model, batch, start),
            partial(self._loss, batch, first, last),
            batches,
            self.accelerator.backward,
        )

    def _scores(self, model: Any, batch: GroupBatch, start: int, rows: Ints) -> torch.Tensor:
        padded = padded_batch(batch.pairs, start + rows, pad=self._pad, device=self.args.device)
        return logits(model, padded)

    def _loss(self, batch: GroupBatch, first: int, last: int, scores: torch.Tensor) -> torch.Tensor:
        """The groups' share of the step's mean loss."""
        groups, losses = self._supervised(batch, first, last, scores)
        return total_loss(groups, losses, temperature=self._config.temperature) / len(batch)

    def _supervised(
        self, batch: GroupBatch, first: int, last: int, scores: torch.Tensor
    ) -> tuple[ScoredGroups, tuple[Any, ...]]:
        """The groups with the scores that the losses see, and the losses of this step."""
        warm = self.state.global_step < self._course.warm_start_steps
        alpha = self._config.residual_weight
        if not warm and not alpha:
            return batch.scored(first, last, scores), self._config.losses
        start, end = batch.offsets[first], batch.offsets[last]
        prior = torch.from_numpy(batch.members.first_stage_scores[start:end]).to(scores.device)
        if warm:
            return batch.scored(first, last, scores, teacher_scores=prior), WARM_START
        return batch.scored(first, last, scores + alpha * prior), self._config.losses

    def _record(self, batch: GroupBatch, loss: float, scores: np.ndarray[Any, Any]) -> None:
        step = len(self.records.steps) + 1
        health.check_loss(step, loss, self._precision)
        members = batch.members
        record = {
            "epoch": batch.epoch,
            "groups": len(batch),
            "pairs": int(batch.offsets[-1]),
            "tokens": batch.tokens,
            "loss": loss,
            "equal_scores_loss": health.equal_scores_loss(
                members.weights, batch.offsets, batch.weights
            ),
            **health.score_health(scores, batch.offsets),
        }
        warm = self.state.global_step < self._course.warm_start_steps
        record["collapsed"] = not warm and health.is_collapsed(record, self._config)
        self.records.steps.append(record)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Complete the step's record with the Trainer's numbers, and stop when it is not well."""
        if "grad_norm" in logs:
            steps = self.records.steps
            steps[-1]["gradient_norm"] = float(logs["grad_norm"])
            steps[-1]["learning_rate"] = float(logs["learning_rate"])
            health.check_gradient(len(steps), steps[-1]["gradient_norm"], self._precision, steps)
            health.check_collapse(steps, self._course.limits, self._config)
            logs |= {name: steps[-1][name] for name in ("score_spread", "violation_share")}
        super().log(logs, start_time)

    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
        """Rank dev with the present weights; keep them when it was never ranked better."""
        assert self._course.measure is not None
        value = self._course.measure()
        records, step = self.records, self.state.global_step
        records.dev.append({"step": step, "epoch": records.steps[-1]["epoch"], "value": value})
        if records.best is records.dev[-1]:
            records.best_weights = checkpoints.trained_weights(self.model)
        metrics = {f"eval_{self._course.metric}": value}
        self.log(dict(metrics))
        self.control.should_evaluate = False
        patience = self._config.patience
        if patience is not None and records.measurements_since_best >= patience:
            self.control.should_training_stop = True
            self.control.should_save = False
        return metrics

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._course.checkpoint_folder or self.args.output_dir)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a whole checkpoint; one that cannot be written costs a warning alone."""
        folder = Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            self.records.save(folder)
            checkpoints.finish(folder)
            checkpoints.remove_older(folder.parent)
        except (OSError, RuntimeError, SafetensorError) as error:
            logger.warning("checkpoint of step %d not written: %s", self.state.global_step, error)
            shutil.rmtree(folder, ignore_errors=True)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Only the weights that training changes, and nothing pickled."""
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(checkpoints.trained_weights(self.model), folder / checkpoints.WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        weights = load_file(Path(resume_from_checkpoint) / checkpoints.WEIGHTS)
        checkpoints.put_weights(self.model, weights)


class StepCalls(TrainerCallback):  # type: ignore[misc]
    """Tells progress after each step, and calls for measurements and checkpoints."""

    def __init__(
        self,
        course: Course,
        config: Training,
        records: checkpoints.Records,
        progress: Progress,
    ) -> None:
        """Share the records with the trainer."""
        self._course = course
        self._config = config
        self._records = records
        self._progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Tell how many pairs are done, and what is due."""
        course, step, last = self._course, state.global_step, state.global_step >= state.max_steps
        self._progress.advance(int(self._records.steps[-1]["pairs"]))
        if course.measure is not None and self._config.evaluate_every is not None:
            control.should_evaluate = last or step % self._config.evaluate_every == 0
        if course.checkpoint_folder is not None and course.checkpoint_steps is not None:
            control.should_save = not last and step % course.checkpoint_steps == 0
