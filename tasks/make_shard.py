"""The shard artifact: a part of a stage's result, made by a worker of a cluster."""

import os
import socket
import time
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from strop.artifacts import pins, tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Store
from strop.pipeline.progress import SILENT
from strop.pipeline.threads import use_threads
from strop.tasks.stage import work_task
from strop.tasks.work import Models, Work

ROWS = "rows"
"""The name of a shard's table."""

_models = Models()
_stores: dict[str, Store] = {}


@dataclass(frozen=True)
class ShardJob:
    """One shard to be made: where it is kept, what it is called, and what it is made of."""

    store: str
    recipe: Recipe
    work: Work
    rows: pa.Table
    threads: int


def _run_name() -> str:
    from prefect.runtime import task_run

    recipe: Recipe = task_run.parameters["job"].recipe
    return f"{recipe.stage} · {recipe.parameters['part']} {recipe.parameters['number']}"


@work_task("shard", _run_name)
def make_shard(job: ShardJob) -> ArtifactRef:
    """Make a shard in this worker, unless it is there; its models stay loaded for the next."""
    store = _store(job.store)
    use_threads(job.threads)
    found = store.lookup(job.recipe)
    if found is None:
        started = time.monotonic()
        with store.attempt(job.recipe) as attempt:
            table = job.work(store, job.rows, _models, SILENT)
            tables.write_table(attempt.folder / f"{ROWS}.parquet", table, table.schema)
            found = store.commit(
                attempt,
                summary={"rows": table.num_rows},
                seconds=time.monotonic() - started,
                execution={"host": socket.gethostname(), "process": os.getpid(), **_repeats()},
            )
    # The run that asked for it has it pinned; a worker may live for days.
    pins.unpin(store.root, job.recipe.kind, job.recipe.id)
    return found.ref


def _store(location: str) -> Store:
    if location not in _stores:
        _stores[location] = Store(location)
    return _stores[location]


def _repeats() -> dict[str, Any]:
    """How often Ray gave this shard to another worker, because one that had it was lost."""
    import ray

    worker: Any = ray._private.worker.global_worker
    if worker.mode != ray.WORKER_MODE:
        return {}
    return {"repeats": worker.core_worker.get_current_task_attempt_number()}
