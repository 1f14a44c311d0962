"""A Trainer whose step runs ragged groups in token-budget micro-batches with exact gradients."""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, SequentialSampler
from transformers import PrinterCallback, TrainingArguments

from strop.pipeline.arrays import Ints
from strop.pipeline.config import Training
from strop.pipeline.profiling import model_call
from strop.pipeline.progress import Progress
from strop.pipeline.scoring.batches import Batching, token_budget_batches
from strop.pipeline.scoring.dense_layers import fast_dense_layers, products, supported
from strop.pipeline.scoring.forward import batch_of, lean_layers, logits
from strop.pipeline.scoring.packing import packs
from strop.pipeline.scoring.precision import resolved_precision
from strop.pipeline.training import checkpoints, gradients
from strop.pipeline.training.checkpointed_trainer import CheckpointedTrainer
from strop.pipeline.training.collator import GroupBatch, GroupCollator, GroupPositions
from strop.pipeline.training.course import Course, StepCalls
from strop.pipeline.training.embedding_gradients import EmbeddingGradients
from strop.pipeline.training.losses.total_loss import total_loss
from strop.pipeline.training.step_record import Step, StepRecorder
from strop.pipeline.training.supervision import supervised

LOGGED = {
    "loss": "loss",
    "grad_norm": "gradient_norm",
    "learning_rate": "learning_rate",
    "score_spread": "score_spread",
    "violation_share": "violation_share",
}
"""What trackers are told of a step by their names for it, and the records'."""


class GroupTrainer(CheckpointedTrainer):
    """Trains on ragged groups; every step's record is kept in ``records``.

    A loss needs all scores of a group at once, so whole groups are run together, in micro-batches
    sorted by length, as `gradients` says. Losses are divided by the step's number of groups, in all
    processes together, so gradients equal those of one padded batch.
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
        self._ranks = course.ranks
        self._collator = collator
        self._precision = resolved_precision(config.precision, "training.precision")
        self._progress = progress
        self._recorder = StepRecorder(
            self.records.steps, config, self._precision, course.limits, course.ranks, progress
        )
        self._embeddings = EmbeddingGradients(model)
        super().__init__(
            model=model,
            args=args,
            data_collator=collator,
            train_dataset=GroupPositions(len(collator.groups)),
            callbacks=[StepCalls(course, config)],
        )
        self.remove_callback(PrinterCallback)
        self._packed = packs(self.model, self._precision)
        self._products = products(self._precision)
        self._sparse = (
            config.gradients == "selective"
            and (self._precision == "fp32" or self._products == torch.bfloat16)
            and supported(self.model)
        )
        self._layers: contextlib.ExitStack | None = None
        self._step: Step | None = None
        # A selective step asks what the ones before it carried.
        self._late = self.args.device.type == "cuda" and config.gradients != "selective"

    def _get_train_sampler(self, *arguments: Any, **options: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The groups of every step; each process sees all of them, and trains its share."""
        if self._ranks.size == 1:
            alone: DataLoader[Any] = super().get_train_dataloader()
            return alone
        return DataLoader(
            self.train_dataset,
            batch_size=self._config.groups_per_step,
            collate_fn=self._collator,
            sampler=SequentialSampler(self.train_dataset),
        )

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The course of the learning rate over all rounds, seen from this round."""
        chosen = optimizer or self.optimizer
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(chosen, self._course.factor)
        return self.lr_scheduler

    def go_on(self) -> None:
        """Train from the last whole checkpoint, or from the start."""
        ranks, folder = self._ranks, self._course.checkpoint_folder
        found = checkpoints.last_whole(folder, processes=ranks.size) if ranks.writes else None
        with checkpoints.in_every_process(found, ranks) as held:
            if held is not None:
                self.records.load(held)
                self._progress.advance(int(sum(step["pairs"] for step in self.records.steps)))
            try:
                self.train(resume_from_checkpoint=None if held is None else str(held))
            finally:
                self.leave_layers()
                self.model.__dict__.pop("forward", None)  # accelerate's, of training's arithmetic

    def training_step(
        self, model: Any, inputs: dict[str, GroupBatch], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Accumulate the gradients of one step's groups; returns their mean loss."""
        batch = inputs["groups"]
        self._enter_layers(model)
        share = self._share(batch)
        total, scores, carried = torch.zeros((), device=self.args.device), torch.empty(0), 0.0
        if share is not None:
            with self.accelerator.no_sync(model):  # gradients are summed here, once a step
                total, scores, carried = self._accumulate(share, len(batch))
        self._ranks.sum_gradients(self.model)
        self._log_step()  # the one before
        self._step = Step(batch, share, total, scores, carried, self._warm)
        return total

    def _enter_layers(self, model: Any) -> None:
        """Let the model train, by the faster layers, until `leave_layers`."""
        if self._layers is None:
            self._layers = contextlib.ExitStack()
            self._layers.enter_context(lean_layers(self.model, packed=self._packed))
            fast = fast_dense_layers(
                self.model, training=True, sparse=self._sparse, dtype=self._products
            )
            self._layers.enter_context(fast)
            self._layers.enter_context(self._embeddings.accumulated())
            model.train()

    def leave_layers(self) -> None:
        """Give the model its own layers back, for whoever reads it next."""
        if self._layers is not None:
            self._layers.close()
            self._layers = None

    def _share(self, batch: GroupBatch) -> GroupBatch | None:
        """This process's groups of a step, or none."""
        if self._ranks.size == 1:
            return batch
        places = self._ranks.share(batch.tokens_by_group)
        return self._collator.batch(batch.positions[places]) if len(places) else None

    def _accumulate(
        self, batch: GroupBatch, step_groups: int
    ) -> tuple[torch.Tensor, torch.Tensor, float]:
        """A share's part of the step's mean loss, its scores, and what carried the gradient."""
        total, scores, carried = torch.zeros((), device=self.args.device), [], 0.0
        with model_call():
            for first, last in gradients.parts(batch.tokens_by_group, self._config):
                loss, found, share = self._part(batch, (first, last), step_groups)
                total += loss
                scores.append(found)
                carried += share * len(found)
        joined = torch.cat(scores)
        return total, joined, carried / len(joined)

    def _part(
        self, batch: GroupBatch, part: tuple[int, int], step_groups: int
    ) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Loss and scores of some groups, their gradients accumulated."""
        first, last = part
        start, end = batch.offsets[first], batch.offsets[last]
        lengths = batch.pairs.tokens.lengths[start:end]
        batching = Batching.on(
            self.args.device, self._micro_batch_tokens(int(lengths.sum())), padded=not self._packed
        )
        recent = self.records.steps[-gradients.REMEMBERED :]
        return gradients.accumulate(
            partial(self._scores, batch, start),
            partial(self._loss, batch, part, step_groups),
            lambda rows: [rows[b] for b in token_budget_batches(lengths[rows], batching)],
            self.accelerator.backward,
            tokens=lengths,
            config=self._config,
            carried=[step["carried"] for step in recent if "carried" in step],
            sparse=self._sparse,
        )

    def _micro_batch_tokens(self, tokens: int) -> int:
        """Tokens of one forward pass of a part that has so many."""
        config, on_gpu = self._config, self.args.device.type == "cuda"
        whole = self._packed and on_gpu and not config.gradient_checkpointing
        if whole and gradients.keeps_graphs(tokens, config):
            return tokens  # several passes would need as much memory
        return config.micro_batch_tokens

    def _scores(self, batch: GroupBatch, start: int, rows: Ints) -> torch.Tensor:
        pad = self._collator.template.pad
        return logits(
            self.model,
            batch_of(self.model, batch.pairs, start + rows, pad=pad, packed=self._packed),
        )

    def _loss(
        self, batch: GroupBatch, part: tuple[int, int], step_groups: int, scores: torch.Tensor
    ) -> torch.Tensor:
        """The groups' share of the step's mean loss."""
        groups, losses = supervised(batch, part, scores, self._config, warm=self._warm)
        return total_loss(groups, losses, temperature=self._config.temperature) / step_groups

    @property
    def _warm(self) -> bool:
        """Whether the present step distils the first stage."""
        return bool(self.state.global_step < self._course.warm_start_steps)

    def _maybe_log_save_evaluate(
        self, loss: torch.Tensor, gradient_norm: Any, *rest: Any, **options: Any
    ) -> None:
        """Record the step that is queued, and carry out what is due behind it.

        Its numbers are read when the next one is queued, so that a GPU need not wait; at once where
        what is due must know of them.
        """
        if self._step is not None:
            self._recorder.take(self._step, gradient_norm, options["learning_rate"])
            self._step = None
        control = self.control
        due = control.should_evaluate or control.should_save or control.should_training_stop
        if due or not self._late:
            self._log_step()
        super()._maybe_log_save_evaluate(loss, gradient_norm, *rest, **options)

    def _log_step(self) -> None:
        """Record the step that was taken last, if that was not done, and tell trackers of it."""
        record = self._recorder.record()
        if record is not None:
            self.log({told: record[name] for told, name in LOGGED.items()})

    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
        """Rank dev with the present weights; keep them when it was never ranked better."""
        assert self._course.measure is not None
        self.leave_layers()
        with _plain_forward(self.model):
            value = self._ranks.told(self._course.measure() if self._ranks.writes else None)
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


@contextlib.contextmanager
def _plain_forward(model: Any) -> Iterator[None]:
    """The model without the arithmetic of its training, which accelerate wraps its forward in.

    Dev is measured in that of `reranker.precision`, as later stages score.
    """
    wrapped = model.__dict__.pop("forward", None)
    try:
        yield
    finally:
        if wrapped is not None:
            model.forward = wrapped
