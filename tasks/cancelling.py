"""A run that somebody cancels in Prefect's UI stops, also where no worker runs it.

A worker ends the process of a run that it started. A run of a terminal has nobody who would: its
stages look at the state of their flow runs every few seconds, and stop themselves.
"""

import time
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.context import TaskRunContext
from prefect.states import Cancelled

from strop.tasks.passing_word import in_passing, server_is_away

LOOK_SECONDS = 4.0
OPEN_OR_STRUCK = {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING", "CRASHED"]}}
"""Prefect takes a stage that the cancel has ended for one that crashed."""
SAID = "cancelled by hand; the same command resumes"

_looked = [0.0]
_parents: dict[UUID, UUID | None] = {}


class RunCancelled(BaseException):
    """A flow run of this process is cancelled; no error, so that nothing retries it."""

    def __init__(self, flow_run_id: UUID) -> None:
        """Keep which flow run was cancelled."""
        super().__init__(SAID)
        self.flow_run_id = flow_run_id


def stop_if_cancelled() -> None:
    """Raise `RunCancelled` when this task's flow run, or one above it, is being cancelled.

    Looks at most every few seconds; a server that does not answer cancels nothing.
    """
    context = TaskRunContext.get()
    if context is None or time.monotonic() - _looked[0] < LOOK_SECONDS or server_is_away():
        return
    _looked[0] = time.monotonic()
    with in_passing(), get_client(sync_client=True) as client:
        number = context.task_run.flow_run_id
        while number is not None:
            run = client.read_flow_run(number)
            if run.state and (run.state.is_cancelling() or run.state.is_cancelled()):
                raise RunCancelled(run.id)
            number = _parent(client, run)


def _parent(client: SyncPrefectClient, run: FlowRun) -> UUID | None:
    """The flow run that this one is a part of; it never changes."""
    if run.id not in _parents:
        above = run.parent_task_run_id
        _parents[run.id] = client.read_task_run(above).flow_run_id if above else None
    return _parents[run.id]


def end_cancelled(flow_run_id: UUID) -> None:
    """Leave the flow run and all that belongs to it in the state Cancelled."""
    with get_client(sync_client=True) as client:
        _end(client, flow_run_id)


def _end(client: SyncPrefectClient, flow_run_id: UUID) -> None:
    within = FlowRunFilter(id={"any_": [flow_run_id]})  # type: ignore[arg-type]
    for task in client.read_task_runs(
        flow_run_filter=within,
        task_run_filter=TaskRunFilter(state=OPEN_OR_STRUCK),  # type: ignore[arg-type]
    ):
        client.set_task_run_state(task.id, Cancelled(message=SAID), force=True)
    children = FlowRunFilter(parent_flow_run_id={"any_": [flow_run_id]})  # type: ignore[arg-type]
    for child in client.read_flow_runs(flow_run_filter=children):
        if child.state and not child.state.is_completed():
            _end(client, child.id)
    client.set_flow_run_state(flow_run_id, Cancelled(message=SAID), force=True)
