"""Flow runs whose process is gone: marked Crashed by the next one that works on the same run."""

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Crashed

OPEN: dict[str, Any] = {"type": {"any_": ["RUNNING", "PENDING"]}}
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
        tagged = FlowRunFilter(tags={"all_": tags}, state=OPEN)  # type: ignore[arg-type]
        for lost in client.read_flow_runs(flow_run_filter=tagged):
            if lost.id != own:
                _end(client, lost.id)
        client.update_flow_run(own, tags=[*context.flow_run.tags, *tags])


def _end(client: SyncPrefectClient, flow_run_id: Any) -> None:
    children = FlowRunFilter(parent_flow_run_id={"any_": [flow_run_id]}, state=OPEN)  # type: ignore[arg-type]
    for child in client.read_flow_runs(flow_run_filter=children):
        _end(client, child.id)
    tasks = client.read_task_runs(
        flow_run_filter=FlowRunFilter(id={"any_": [flow_run_id]}),  # type: ignore[arg-type]
        task_run_filter=TaskRunFilter(state=OPEN),  # type: ignore[arg-type]
    )
    for task in tasks:
        client.set_task_run_state(task.id, Crashed(message=GONE), force=True)
    client.set_flow_run_state(flow_run_id, Crashed(message=GONE), force=True)


@contextlib.contextmanager
def subflows_without_heartbeat() -> Iterator[None]:
    """Subflows share their parent's process, so its heartbeat is enough; theirs cost a second."""
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield
