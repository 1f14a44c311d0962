"""A Trainer whose step runs ragged groups in token-budget micro-batches with exact gradients."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, SequentialSampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from strop.pipeline.config import Training
from strop.pipeline.progress import Progress
from strop.pipeline.ragged import Ints
from strop.pipeline.scoring.batches import token_budget_batches
from strop.pipeline.scoring.forward import logits, padded_batch
from strop.pipeline.scoring.pairs import PairTemplate, PairTokens, assemble
from strop.pipeline.scoring.scorer import PairSource
from strop.pipeline.training.groups import Groups
from strop.pipeline.training.losses import group_softmax


class GroupPositions(Dataset[int]):
    """The positions of the groups: what the data loader hands out."""

    def __init__(self, count: int) -> None:
        """Say how many groups there are."""
        self._count = count

    def __len__(self) -> int:
        """The number of groups."""
        return self._count

    def __getitem__(self, index: int) -> int:
        """The position itself."""
        return index


@dataclass(frozen=True)
class GroupBatch:
    """One step's groups: their pairs, each pair's group, and each group's weight."""

    pairs: PairTokens
    group_of_pair: Ints
    weights: np.ndarray[Any, np.dtype[np.float32]]

    @property
    def tokens(self) -> int:
        """The number of tokens of all pairs."""
        return len(self.pairs.tokens.flat)


@dataclass(frozen=True)
class GroupCollator:
    """Puts a step's groups together from cached tokens."""

    groups: Groups
    source: PairSource
    template: PairTemplate

    def __call__(self, positions: list[int]) -> dict[str, GroupBatch]:
        """The batch of these groups, under the one key that the training step reads."""
        members = [self.groups.members.row(position) for position in positions]
        sizes = np.asarray([len(rows) for rows in members], np.int64)
        pairs = assemble(
            self.source.queries.ragged,
            self.source.passages.ragged,
            np.repeat(self.groups.query_rows[positions], sizes),
            np.concatenate(members),
            template=self.template,
        )
        group_of_pair = np.repeat(np.arange(len(positions)), sizes)
        return {"groups": GroupBatch(pairs, group_of_pair, self.groups.weights[positions])}


class GroupTrainer(Trainer):  # type: ignore[misc]
    """Trains on ragged groups; every step's record is kept in ``steps``.

    The softmax needs all scores of a group at once, so whole groups are run together: as many as
    keep within ``graph_tokens``, each part's pairs in micro-batches sorted by length whose graphs
    are kept until the part's backward pass. Losses are divided by the step's number of groups, so
    gradients equal those of one padded batch.
    """

    def __init__(
        self,
        *,
        config: Training,
        collator: GroupCollator,
        factor: Callable[[int], float],
        progress: Progress,
        model: Any,
        args: TrainingArguments,
    ) -> None:
        """Wire the collator and the schedule into transformers' Trainer."""
        self.steps: list[dict[str, float]] = []
        self._config = config
        self._factor = factor
        self._pad = collator.template.pad
        super().__init__(
            model=model,
            args=args,
            data_collator=collator,
            train_dataset=GroupPositions(len(collator.groups)),
            callbacks=[StepProgress(progress, self.steps, config.epochs)],
        )
        self.remove_callback(PrinterCallback)

    def _get_train_sampler(self, *arguments: Any, **options: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The course of the learning rate over all rounds, seen from this round."""
        chosen = optimizer or self.optimizer
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(chosen, self._factor)
        return self.lr_scheduler

    def training_step(
        self, model: Any, inputs: dict[str, GroupBatch], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Accumulate the gradients of one step's groups; returns their mean loss."""
        batch = inputs["groups"]
        model.train()
        total = torch.zeros((), device=self.args.device)
        for groups in self._parts(batch):
            loss = self._part_loss(model, batch, groups) / len(batch.weights)
            self.accelerator.backward(loss)
            total += loss.detach()
        self.steps.append(
            {
                "groups": len(batch.weights),
                "pairs": len(batch.group_of_pair),
                "tokens": batch.tokens,
                "loss": float(total),
            }
        )
        return total

    def _parts(self, batch: GroupBatch) -> Iterator[Ints]:
        """Runs of groups that keep within the tokens whose graphs may be held at once."""
        lengths = batch.pairs.tokens.lengths
        tokens = np.bincount(batch.group_of_pair, weights=lengths)
        part = np.zeros(len(tokens), np.int64)
        held, number = 0.0, 0
        for group, count in enumerate(tokens.tolist()):
            if held and held + count > self._config.graph_tokens:
                held, number = 0.0, number + 1
            held += count
            part[group] = number
        for index in range(number + 1):
            yield np.flatnonzero(part == index)

    def _part_loss(self, model: Any, batch: GroupBatch, groups: Ints) -> torch.Tensor:
        rows = np.flatnonzero(np.isin(batch.group_of_pair, groups))
        lengths = batch.pairs.tokens.lengths[rows]
        scores, places = [], []
        for micro in token_budget_batches(lengths, self._config.micro_batch_tokens):
            padded = padded_batch(batch.pairs, rows[micro], pad=self._pad, device=self.args.device)
            with self.compute_loss_context_manager():
                scores.append(logits(model, padded))
            places.append(micro)
        order = np.argsort(np.concatenate(places))
        group_of_member = batch.group_of_pair[rows] - groups[0]
        first = np.searchsorted(group_of_member, np.arange(len(groups)))
        device = self.args.device
        return group_softmax(
            torch.cat(scores)[torch.from_numpy(order).to(device)],
            torch.from_numpy(group_of_member).to(device),
            torch.from_numpy(first).to(device),
            torch.from_numpy(batch.weights[groups]).to(device),
            temperature=self._config.temperature,
        )


class StepProgress(TrainerCallback):  # type: ignore[misc]
    """Completes each step's record with gradient norm and learning rate, and tells progress."""

    def __init__(self, progress: Progress, steps: list[dict[str, float]], epochs: int) -> None:
        """Share the list of records with the trainer, whose one pass is so many epochs."""
        self._epochs = epochs
        self._progress = progress
        self._steps = steps

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float], **rest: Any
    ) -> None:
        """Take the norm and the rate that the Trainer reports after each step."""
        if "grad_norm" in logs and self._steps:
            self._steps[-1]["gradient_norm"] = float(logs["grad_norm"])
            self._steps[-1]["learning_rate"] = float(logs["learning_rate"])
            self._steps[-1]["epoch"] = float(logs.get("epoch", 0.0)) * self._epochs

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Tell how many pairs are done."""
        self._progress.advance(int(self._steps[-1]["pairs"]))


def training_arguments(folder: Path, config: Training, *, seed: int) -> TrainingArguments:
    """The Trainer's arguments: quiet, unsaved, one optimizer step for every batch of groups."""
    return TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=config.groups_per_step,
        num_train_epochs=1,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_gradient_norm,
        optim="adamw_torch_fused",
        seed=seed % 2**32,
        bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        save_strategy="no",
        logging_strategy="steps",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
