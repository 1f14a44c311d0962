"""What all stages share: look the artifact up, compute it if it is not there, commit, publish."""

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import TaskRunContext
from prefect.states import Completed

from strop.artifacts.manifest import ArtifactRef, Manifest, Recipe
from strop.artifacts.store import Attempt, Store
from strop.artifacts.upkeep.discard import discard
from strop.pipeline.progress import Progress
from strop.tasks.cancelling import stop_if_cancelled
from strop.tasks.gpu_slot import slot
from strop.tasks.publishing import StageProgress, publish
from strop.tasks.watching import watchers

Function = TypeVar("Function", bound=Callable[..., Any])
Compute = Callable[[Attempt, Progress], dict[str, Any]]

RETRIES = 2
RETRY_SECONDS = (2, 20)
PASSING = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY, errno.ENETDOWN}


@dataclass(frozen=True)
class Place:
    """Where a stage runs: the store, the run, and the part of the run (``round 2``)."""

    store: str
    run: str
    part: str

    def open(self) -> Store:
        """The store."""
        return Store(self.store)


def worth_retrying(task: Any, task_run: Any, state: State[Any]) -> bool:
    """Retry faults that may pass, such as a network file system's; never wrong input."""
    error = state.data
    return isinstance(error, OSError) and error.errno in PASSING


def _run_name() -> str:
    from prefect.runtime import task_run

    place: Place = task_run.parameters["place"]
    return f"{task_run.task_name} · {place.part}"


def work_task(name: str, run_name: Callable[[], str]) -> Callable[[Function], Any]:
    """A Prefect task for work on an artifact: no second cache, retries where they help."""
    return task(
        name=name,
        task_run_name=run_name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=RETRIES,
        retry_delay_seconds=list(RETRY_SECONDS),
        retry_condition_fn=worth_retrying,
    )


def stage_task(name: str) -> Callable[[Function], Any]:
    """A `work_task` for a stage, with a readable run name.

    It has no tags: Prefect asks the server for a slot of every tag's limit, over a client that it
    makes for it, which takes more than a second whether there is a limit or not.
    """
    return work_task(name, _run_name)


def carry_out(
    place: Place, recipe: Recipe, compute: Compute, *, gpu_slot: str | None = None
) -> ArtifactRef | State[ArtifactRef]:
    """The artifact of a recipe: the one in the store, in a `Reused` state, or a new one.

    ``compute`` writes the attempt's files and returns the summary that people want to see; it
    holds a slot of the concurrency limit ``gpu_slot``, where one is named.
    """
    stop_if_cancelled()
    store = place.open()
    label = f"{recipe.stage} · {place.part}"
    for watcher in watchers():
        watcher.started(label)
    manifest, reused, started = store.lookup(recipe), True, time.monotonic()
    if manifest is None:
        with slot(gpu_slot, label):
            # Somebody may have made it while we waited for the slot.
            manifest = store.lookup(recipe)
            reused = manifest is not None
            manifest = manifest or _make(store, recipe, compute, StageProgress(label))
    publish(manifest, run=place.run, part=place.part, reused=reused)
    for watcher in watchers():
        seconds = time.monotonic() - started
        watcher.finished(label, reused=reused, seconds=seconds, summary=manifest.summary)
    if reused:
        return Completed(name="Reused", data=manifest.ref, message=f"found {manifest.id}")
    return manifest.ref


def _make(store: Store, recipe: Recipe, compute: Compute, progress: StageProgress) -> Manifest:
    started = time.monotonic()
    with store.attempt(recipe) as attempt:
        summary = compute(attempt, progress)
        made = store.commit(
            attempt,
            summary=summary,
            seconds=time.monotonic() - started,
            prefect=_run_ids(),
        )
    discard(store, attempt.shards)
    return made


def _run_ids() -> dict[str, str]:
    context = TaskRunContext.get()
    if context is None:
        return {}
    run = context.task_run
    return {"task_run_id": str(run.id), "flow_run_id": str(run.flow_run_id)}


def call(stage: Any, *arguments: Any, **options: Any) -> Any:
    """Run a stage and return its ref, whether made or reused; raises what the stage raised."""
    return stage(*arguments, return_state=True, **options).result()
