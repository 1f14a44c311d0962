"""What a run will take, before it starts; nothing is written but the measured unit costs."""

import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.environment import library_versions
from strop.artifacts.store import Store
from strop.pipeline.config import Config, Execution
from strop.pipeline.evaluation.gate_size import gate_warning
from strop.pipeline.mining.cross_fitting import plan_queries
from strop.pipeline.models import ModelFolder, resolve_model
from strop.pipeline.planning.costs import UnitCosts
from strop.pipeline.planning.measuring import TEXTS, Sample, measure
from strop.pipeline.planning.planner import planned
from strop.pipeline.planning.retrievers import asks_bi_encoder, asks_words
from strop.pipeline.planning.stages import Counts, Planned, dominant
from strop.pipeline.threads import processors, threads_of_worker, use_threads
from strop.tasks.plan_checks import named_model
from strop.tasks.plan_data import PlannedData

COSTLY = {
    *("precision", "micro_batch_tokens", "graph_tokens", "gradients", "gradient_checkpointing"),
    *("frozen_layers", "lora", "dropout"),
}
"""What of `training` decides the cost of a token."""
SPLITS = ("train", "dev", "gate", "test")


@dataclass(frozen=True)
class Plan:
    """The stages to come, on how many devices, and whether their costs were kept from before.

    ``warning`` is what the run will start with: that no round of it can become champion.
    """

    stages: list[Planned]
    devices: int
    workers: int
    costs: UnitCosts
    kept: bool
    warning: str = ""

    @property
    def dominant(self) -> tuple[str, float]:
        """The kind of stage that takes the most time, and its share."""
        return dominant(self.stages)

    def to_json(self) -> dict[str, Any]:
        """All of it for scripts: seconds and bytes."""
        stage, share = self.dominant
        return {
            "stages": [asdict(stage) for stage in self.stages],
            "seconds": sum(stage.seconds for stage in self.stages),
            "memory": max(stage.memory for stage in self.stages),
            "worker_memory": max(stage.worker_memory for stage in self.stages),
            "disk": sum(stage.disk for stage in self.stages),
            "dominant": {"stage": stage, "share": share},
            "devices": self.devices,
            "workers": self.workers,
            "unit_costs": asdict(self.costs),
            "warning": self.warning,
        }


def plan_run(
    config: Config,
    store: Store | None,
    data: PlannedData,
    *,
    devices: int,
    state: Path,
    again: bool = False,
) -> Plan:
    """The stages of a run; raises `InputError` for models that it would refuse.

    Unit costs are measured once for these models, limits, threads and versions, and kept in the
    folder ``state``, or measured ``again``. ``store`` is asked for a base that the config names by
    id.
    """
    use_threads(config.execution.threads)
    encoder = None
    if asks_bi_encoder(config):
        encoder = resolve_model(config.bi_encoder.model, "bi_encoder.model")
    base = named_model(store, "reranker.base", config.reranker.base)
    counts, sample = _work(config, data), Sample(data.texts, _questions(data))
    warning = gate_warning(data.queries, data.qrels, config)
    path = state / "unit-costs" / f"{_key(config, encoder, base)}.json"
    costs = None if again else UnitCosts.kept(path)
    kept = costs is not None
    if costs is None:
        costs = measure(sample, config, encoder, base)
        costs.keep(path)
    workers = _workers(config.execution)
    stages = planned(config, counts, costs, devices=devices, workers=workers)
    return Plan(stages, devices, workers, costs, kept, warning)


def _workers(execution: Execution) -> int:
    """A cluster's workers; of an address without a number, as many as there would be here."""
    if execution.runner != "ray":
        return 0
    return execution.workers or max(1, processors() // threads_of_worker(execution.threads))


def _work(config: Config, data: PlannedData) -> Counts:
    """How much there is to do."""
    plan = plan_queries(data.queries, data.qrels, config)
    splits = data.queries["split"].cast(pa.string())
    return Counts(
        passages=data.passages,
        queries={split: int(pc.sum(pc.equal(splits, split)).as_py() or 0) for split in SPLITS},
        round_queries=tuple(len(plan.of_round(n + 1)) for n in range(config.rounds)),
        reading=data.reading,
        folds=config.mining.folds if plan.strategy == "folds" else 0,
    )


def _questions(data: PlannedData) -> list[str]:
    found: list[str] = data.queries["text"].slice(0, TEXTS).to_pylist()
    return found


def _key(config: Config, encoder: ModelFolder | None, base: ModelFolder) -> str:
    """What unit costs depend on: data, models, limits, threads, machine and versions."""
    values: dict[str, Any] = {
        "dataset": config.dataset,
        "data": config.data.said(),
        "encoder": encoder and encoder.sha256_by_file,
        "base": base.sha256_by_file,
        "bi_encoder": config.bi_encoder.model_dump(mode="json"),
        "reranker": config.reranker.model_dump(mode="json"),
        "training": config.training.model_dump(mode="json", include=COSTLY),
        "group_size": config.mining.group_size,
        "index": config.first_stage.index.model_dump(mode="json"),
        "depth": config.first_stage.depth,
        "bm25": asks_words(config) and config.first_stage.bm25.model_dump(mode="json"),
        "threads": config.execution.threads,
        "machine": [platform.node(), platform.machine(), os.cpu_count()],
        "versions": library_versions(),
    }
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
