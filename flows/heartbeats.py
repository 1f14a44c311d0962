"""Heartbeats of strop's flow runs: one thread beats for all that are open in this process.

They are events of strop's own, so that nobody else's runs are taken for ours, nor ours for silent
where Prefect's own beat slower (every three minutes, unless a worker is told otherwise). Subflows
go without Prefect's: each takes up to a second to stop, which a run with ten of them would pay ten
times.
"""

import contextlib
import contextvars
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

BEAT = "strop.flow-run.heartbeat"
BEAT_SECONDS = 30.0


@dataclass(frozen=True)
class _Open:
    run: FlowRun
    flow: str


_open: dict[str, _Open] = {}


@contextlib.contextmanager
def beating() -> Iterator[None]:
    """Beat for the flow run that this is called in, while entered; nothing outside a flow run."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow is None:
        yield
        return
    key = str(context.flow_run.id)
    if key in _open:
        yield
        return
    with contextlib.nullcontext() if _open else _one_thread():
        _open[key] = _Open(context.flow_run, context.flow.name)
        _tell(_open[key])
        try:
            yield
        finally:
            del _open[key]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """While entered, a thread beats for all that are open, and Prefect does not for subflows."""
    stop = threading.Event()
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(_beat, stop), name="heartbeats", daemon=True
    )
    thread.start()
    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            yield
    finally:
        stop.set()


def _beat(stop: threading.Event) -> None:
    while not stop.wait(BEAT_SECONDS):
        for item in list(_open.values()):
            _tell(item)


def _tell(item: _Open) -> None:
    emit_event(
        event=BEAT,
        resource={
            "prefect.resource.id": f"prefect.flow-run.{item.run.id}",
            "prefect.resource.name": item.run.name,
        },
        related=[
            {
                "prefect.resource.id": f"prefect.flow.{item.run.flow_id}",
                "prefect.resource.role": "flow",
                "prefect.resource.name": item.flow,
            }
        ],
    )
