"""Fine-tunes a reranker on one round's groups."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import torch

from strop.artifacts.schemas import TRAIN_LOG
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.pipeline.progress import SILENT, Progress
from strop.pipeline.scoring.first_token import first_token_only
from strop.pipeline.scoring.pairs import PairLimits, probe_template
from strop.pipeline.scoring.reranker import LoadedReranker
from strop.pipeline.scoring.scorer import PairSource
from strop.pipeline.seeds import derived_seed
from strop.pipeline.training.groups import plan_groups
from strop.pipeline.training.schedule import learning_rate_factor
from strop.pipeline.training.trainer import GroupCollator, GroupTrainer, training_arguments


@dataclass(frozen=True)
class Trained:
    """The tuned reranker and a record of every optimizer step."""

    reranker: LoadedReranker
    log: pa.Table


def train(
    reranker: LoadedReranker,
    negatives: pa.Table,
    source: PairSource,
    config: Config,
    *,
    round_number: int,
    progress: Progress = SILENT,
) -> Trained:
    """Train the reranker in place on the groups of one round; deterministic on a CPU."""
    groups = plan_groups(
        negatives,
        source,
        epochs=config.training.epochs,
        seed=config.seed,
        round_number=round_number,
    )
    if not len(groups):
        raise InputError(
            f"round {round_number}: no query has a negative to train on; lower mining.margin or "
            "raise mining.pool_size"
        )
    limits = PairLimits(config.reranker.max_tokens, config.reranker.max_query_tokens)
    template = probe_template(reranker.tokenizer, limits)
    steps = -(-len(groups) // config.training.groups_per_step)
    seed = derived_seed(config.seed, "train", round_number)
    _set_dropout(reranker, config.training.dropout)
    freeze(reranker.model, config.training.frozen_layers)
    progress.start(len(groups.members.flat), "pairs")
    with tempfile.TemporaryDirectory(prefix="strop-train-") as folder:
        trainer = GroupTrainer(
            config=config.training,
            collator=GroupCollator(groups, source, template),
            factor=learning_rate_factor(
                config.training, round_number=round_number, rounds=config.rounds, steps=steps
            ),
            progress=progress,
            model=reranker.model,
            args=training_arguments(Path(folder), config.training, seed=seed),
        )
        with first_token_only(reranker.model):
            trainer.train()
    return Trained(LoadedReranker(reranker.model.eval(), reranker.tokenizer), _log(trainer.steps))


def _set_dropout(reranker: LoadedReranker, dropout: float | None) -> None:
    if dropout is None:
        return
    for module in reranker.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout


def freeze(model: Any, layers: int) -> None:
    """Keep the embeddings and the lowest ``layers`` layers as they are; 0 trains everything.

    Raises `InputError` when the model has no more layers than that.
    """
    if not layers:
        return
    stacks = [m for m in model.base_model.modules() if isinstance(m, torch.nn.ModuleList)]
    stack = max(stacks, key=len, default=torch.nn.ModuleList())
    if layers >= len(stack):
        raise InputError(
            f"training.frozen_layers = {layers}: the model has {len(stack)} layers, and one at "
            "least must be trained"
        )
    embeddings = getattr(model.base_model, "embeddings", model.get_input_embeddings())
    for module in (embeddings, *stack[:layers]):
        module.requires_grad_(False)


def _log(steps: list[dict[str, float]]) -> pa.Table:
    columns = {
        field.name: pa.array([step.get(field.name, 0.0) for step in steps]).cast(
            field.type, safe=False
        )
        for field in TRAIN_LOG
        if field.name != "step"
    }
    numbers = pa.array(range(1, len(steps) + 1), pa.int32())
    return pa.table({"step": numbers, **columns}, schema=TRAIN_LOG)


def passages_of(negatives: pa.Table) -> pa.Array:
    """The ids of every passage that a negatives table names."""
    mined = negatives["negatives"].combine_chunks().flatten().field("passage_id")
    positives = negatives["positive_ids"].combine_chunks().flatten()
    return pc.unique(pa.chunked_array([positives, mined]))


def training_summary(log: pa.Table) -> dict[str, Any]:
    """Steps, pairs and tokens trained, and the mean loss of the first and the last tenth."""
    losses = log["loss"].to_numpy()
    tenth = max(1, len(losses) // 10)
    return {
        "pairs": int(log["pairs"].to_numpy().sum()),
        "tokens": int(log["tokens"].to_numpy().sum()),
        "steps": log.num_rows,
        "loss_first": round(float(losses[:tenth].mean()), 4),
        "loss_last": round(float(losses[-tenth:].mean()), 4),
    }
