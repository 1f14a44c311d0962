"""Fine-tunes a reranker on one round's groups."""

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from strop.artifacts.schemas import DEV_LOG, TRAIN_LOG
from strop.pipeline.config import Config
from strop.pipeline.config.losses import TEACHER_LOSSES
from strop.pipeline.errors import InputError
from strop.pipeline.progress import SILENT, Progress
from strop.pipeline.scoring.pairs import PairLimits, probe_template
from strop.pipeline.scoring.reranker import LoadedReranker
from strop.pipeline.scoring.scorer import PairSource
from strop.pipeline.seeds import derived_seed
from strop.pipeline.training import adapters
from strop.pipeline.training.arguments import training_arguments
from strop.pipeline.training.checkpoints import Records, held_folder, put_weights
from strop.pipeline.training.collator import GroupCollator
from strop.pipeline.training.course import Course
from strop.pipeline.training.development import Development
from strop.pipeline.training.groups import Groups, plan_groups
from strop.pipeline.training.health import health_summary, limits
from strop.pipeline.training.preparation import dropout_of, freeze, recompute_layers
from strop.pipeline.training.ranks import ALONE, Ranks
from strop.pipeline.training.schedule import learning_rate_factor, warmup_steps
from strop.pipeline.training.trainer import GroupTrainer


@dataclass(frozen=True)
class Trained:
    """The tuned reranker, a record of every optimizer step, and one of every look at dev."""

    reranker: LoadedReranker
    log: pa.Table
    dev_log: pa.Table | None = None
    replayed_groups: int = 0


@dataclass(frozen=True)
class Surroundings:
    """Where a training keeps its checkpoints, who is told of it, and who shares it out.

    ``checkpoints`` is a folder that survives the process, or None; ``tracking`` one for trackers
    that write files. Several ``ranks`` change a result by rounding, and by what dropout leaves out.
    """

    checkpoints: Path | None = None
    tracking: Path | None = None
    progress: Progress = SILENT
    ranks: Ranks = ALONE


def train(
    reranker: LoadedReranker,
    negatives: pa.Table,
    source: PairSource,
    config: Config,
    *,
    round_number: int,
    earlier: Sequence[pa.Table] = (),
    fresh_head: bool = False,
    development: Development | None = None,
    surroundings: Surroundings = Surroundings(),
) -> Trained:
    """Train the reranker in place on the groups of one round; deterministic on a CPU.

    ``earlier`` are the negatives tables of earlier rounds, for ``replay_share``; ``fresh_head``
    lets it begin with the first stage's scores; ``development`` is needed for
    ``evaluate_every``. With a folder for checkpoints, a training that was killed goes on to the
    same bits. Raises `InputError` when there is nothing to train on, the config does not fit the
    model, or the training diverges.
    """
    groups = plan_groups(negatives, source, config, round_number=round_number, earlier=earlier)
    _check(groups, config, round_number)
    steps = -(-len(groups) // config.training.groups_per_step)
    with ExitStack() as stack:
        stack.enter_context(dropout_of(reranker.model, config.training.dropout))
        folder = stack.enter_context(held_folder(surroundings.checkpoints))
        keeps = surroundings.ranks.told(folder is not None)
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="strop-train-"))
        adapted = _prepare(reranker, config, round_number)
        place = {"round_number": round_number, "rounds": config.rounds, "steps": steps}
        settings, warmup = config.training, warmup_steps(config.training, **place)
        warm_start = settings.warm_start_share if fresh_head else 0.0
        course = Course(
            factor=learning_rate_factor(settings, **place),
            limits=limits(settings, warmup=warmup, steps=steps, rounds=config.rounds),
            warm_start_steps=round(warm_start * steps),
            measure=_measure(reranker, source, config, development),
            metric=config.evaluation.metrics[0],
            checkpoint_folder=folder,
            checkpoint_steps=config.execution.checkpoint_steps if keeps else None,
            ranks=surroundings.ranks,
        )
        trainer = _trainer(
            reranker,
            GroupCollator(groups, source, _template(reranker, config)),
            config,
            course,
            surroundings.tracking or Path(temporary),
            round_number=round_number,
            progress=surroundings.progress,
        )
        surroundings.progress.start(groups.pairs, "pairs")
        records = _carry_out(trainer, folder)
    model = reranker.model if adapted is None else adapters.merge(adapted)
    return Trained(
        LoadedReranker(model.eval(), reranker.tokenizer),
        _log(records),
        _dev_log(records, config.evaluation.metrics[0]),
        int(groups.replayed.sum()),
    )


def _check(groups: Groups, config: Config, round_number: int) -> None:
    if not len(groups):
        raise InputError(
            f"round {round_number}: no query has a negative to train on; lower the guard's margin "
            "(mining.guard.first_stage_margin where the first stage mines, else "
            "mining.guard.margin), raise mining.pool_size, or add passages to the corpus"
        )
    taught = [loss.name for loss in config.training.losses if loss.name in TEACHER_LOSSES]
    unknown = int(np.isnan(groups.members.teacher_scores).sum())
    if taught and unknown:
        raise InputError(
            f"training.losses has {taught[0]}, but {unknown:,} of {groups.pairs:,} pairs have no "
            "teacher score; set mining.teacher and mine again"
        )


def _prepare(reranker: LoadedReranker, config: Config, round_number: int) -> Any:
    """Freeze what does not train; returns peft's model around the reranker, if there is one."""
    settings, adapted = config.training, None
    if settings.lora is not None:
        seed = derived_seed(config.seed, "adapters", round_number)
        adapted = adapters.add_adapters(reranker.model, settings.lora, seed=seed)
    freeze(reranker.model, settings.frozen_layers)
    if settings.gradient_checkpointing:
        recompute_layers(reranker.model)
    return adapted


def _template(reranker: LoadedReranker, config: Config) -> Any:
    limits = PairLimits(config.reranker.max_tokens, config.reranker.max_query_tokens)
    return probe_template(reranker.tokenizer, limits)


def _measure(
    reranker: LoadedReranker, source: PairSource, config: Config, development: Development | None
) -> Any:
    if config.training.evaluate_every is None:
        return None
    if development is None:
        raise ValueError("training.evaluate_every needs dev's candidates and judgements")
    return lambda: development.measure(reranker, source, config)


def _carry_out(trainer: GroupTrainer, checkpoints: Path | None) -> Records:
    """The records of the training; the model has the weights that dev ranked best, or the last."""
    try:
        trainer.go_on()
    except InputError:
        if checkpoints is not None:  # another attempt would fail in the same step
            shutil.rmtree(checkpoints, ignore_errors=True)
        raise
    if trainer.records.best_weights is not None:
        put_weights(trainer.model, trainer.records.best_weights)
    return trainer.records


def _trainer(
    reranker: LoadedReranker,
    collator: GroupCollator,
    config: Config,
    course: Course,
    folder: Path,
    *,
    round_number: int,
    progress: Progress,
) -> GroupTrainer:
    report_to = config.execution.report_to
    arguments = training_arguments(
        folder,
        config.training,
        seed=derived_seed(config.seed, "train", round_number, *_draws(course.ranks)),
        report_to=report_to,
        run_name=f"{config.name} round {round_number}",
        processes=course.ranks.size,
    )
    try:
        return GroupTrainer(
            config=config.training,
            collator=collator,
            course=course,
            progress=progress,
            model=reranker.model,
            args=arguments,
        )
    except torch.OutOfMemoryError:
        raise
    except (ImportError, RuntimeError, ValueError) as error:
        if not report_to:
            raise
        reason = str(error).partition("\n")[0]
        raise InputError(f"execution.report_to = {', '.join(report_to)}: {reason}") from error


def _draws(ranks: Ranks) -> tuple[int, ...]:
    """What is added to the seed, so that dropout leaves out other things in every process."""
    return (ranks.rank,) if ranks.rank else ()


def _log(records: Records) -> pa.Table:
    steps = records.steps
    columns = {
        field.name: pa.array([step[field.name] for step in steps]).cast(field.type, safe=False)
        for field in TRAIN_LOG
        if field.name != "step"
    }
    numbers = pa.array(range(1, len(steps) + 1), pa.int32())
    return pa.table({"step": numbers, **columns}, schema=TRAIN_LOG)


def _dev_log(records: Records, metric: str) -> pa.Table | None:
    best = records.best
    if best is None:
        return None
    rows = [{**row, "metric": metric, "kept": row is best} for row in records.dev]
    return pa.Table.from_pylist(rows, schema=DEV_LOG)


def passages_of(*tables: pa.Table) -> pa.Array:
    """The ids of every passage that negatives tables name."""
    ids = [
        table[name].combine_chunks().flatten().field("passage_id")
        for table in tables
        for name in ("positives", "negatives")
    ]
    return pc.unique(pa.chunked_array(ids))


def training_summary(trained: Trained) -> dict[str, Any]:
    """Steps, pairs and tokens trained, the loss at both ends, health, and what dev said."""
    log = {name: trained.log[name].to_numpy() for name in trained.log.column_names}
    losses = log["loss"]
    tenth = max(1, len(losses) // 10)
    return {
        "pairs": int(log["pairs"].sum()),
        "tokens": int(log["tokens"].sum()),
        "groups": int(log["groups"].sum()),
        "steps": len(losses),
        "epochs": round(float(log["epoch"][-1]), 2),
        "loss_first": round(float(losses[:tenth].mean()), 4),
        "loss_last": round(float(losses[-tenth:].mean()), 4),
        **health_summary(log),
        **({"replayed_groups": trained.replayed_groups} if trained.replayed_groups else {}),
        **_kept(trained.dev_log),
    }


def _kept(dev_log: pa.Table | None) -> dict[str, Any]:
    if dev_log is None:
        return {}
    row = dev_log.filter(dev_log["kept"]).to_pylist()[0]
    return {"kept_step": row["step"], f"dev {row['metric']}": round(row["value"], 4)}
