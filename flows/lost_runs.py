"""Flow runs whose process is gone: marked Crashed by the next one that works on the same run."""

import hashlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

OPEN: dict[str, Any] = {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}
OPEN_OR_CRASHED: dict[str, Any] = {
    "type": {"any_": ["RUNNING", "PENDING", "CANCELLING", "CRASHED"]}
}
"""A worker or an automation that sees a process gone marks its flow run only, not what is in it."""
NEWEST, LATEST = FlowRunSort.EXPECTED_START_TIME_DESC, 20
GONE = "its process is gone"


def end_lost_runs(store: str, run: str) -> None:
    """Mark what earlier holders of the run's lease left Running, and tag this flow run.

    Only the holder of the lease may call this: nobody else works on the run then.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    place = hashlib.sha256(store.encode()).hexdigest()[:8]
    tags = [f"run:{run}", f"store:{place}"]
    own = context.flow_run.id
    with get_client(sync_client=True) as client:
        tagged = FlowRunFilter(tags={"all_": tags}, state=OPEN_OR_CRASHED)  # type: ignore[arg-type]
        found = client.read_flow_runs(flow_run_filter=tagged, sort=NEWEST, limit=LATEST)
        if any(lost.id != own for lost in found):
            ours = {own, *(above.id for above in _above(client, context.flow_run))}
            for lost in found:
                for gone in (lost, *_above(client, lost)):
                    if gone.id not in ours:
                        end_run(client, gone)
        client.update_flow_run(own, tags=[*context.flow_run.tags, *tags])


def _above(client: SyncPrefectClient, run: FlowRun) -> Iterator[FlowRun]:
    """The flow runs that this one is a part of, all of one process: a night's improvement, say."""
    while run.parent_task_run_id is not None:
        within = client.read_task_run(run.parent_task_run_id).flow_run_id
        if within is None:
            return
        run = client.read_flow_run(within)
        yield run


def end_run(client: SyncPrefectClient, lost: FlowRun) -> None:
    """Leave nothing of a flow run open whose process is gone.

    It is Crashed then, or Cancelled where somebody had asked for that.
    """
    within: Any = {"any_": [lost.id]}
    children = FlowRunFilter(parent_flow_run_id=within, state=OPEN_OR_CRASHED)  # type: ignore[arg-type]
    for child in client.read_flow_runs(flow_run_filter=children):
        end_run(client, child)
    asked = lost.state is not None and lost.state.is_cancelling()
    ended = Cancelled if asked else Crashed
    tasks = client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=within),
        task_run_filter=TaskRunFilter(state=OPEN),  # type: ignore[arg-type]
    )
    for task in tasks:
        client.set_task_run_state(task.id, ended(message=GONE), force=True)
    if not (lost.state and lost.state.is_final()):
        client.set_flow_run_state(lost.id, ended(message=GONE), force=True)
        if lost.deployment_id is not None:
            _keep_slots(client, lost.deployment_id)


def _keep_slots(client: SyncPrefectClient, deployment: UUID) -> None:
    """Give runs of the deployment that are on the slots that they hold.

    Prefect frees a slot for a run that is marked, also where that run's own lease had expired and
    another run holds the slot by now: a third one would be let in beside it.
    """
    try:
        limit = client.read_deployment(deployment).global_concurrency_limit
    except ObjectNotFound:
        return  # it was deleted since
    if limit is None:
        return
    of_it = FlowRunFilter(deployment_id={"any_": [deployment]}, state=OPEN)  # type: ignore[arg-type]
    held = min(limit.limit, len(client.read_flow_runs(flow_run_filter=of_it)))
    if limit.active_slots < held:
        client.update_global_concurrency_limit(
            limit.name, GlobalConcurrencyLimitUpdate(active_slots=held)
        )
