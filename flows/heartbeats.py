"""Heartbeats of subflows: all live in one process, so one thread beats for those that are open.

Prefect's own take up to a second to stop, which a run with ten subflows would pay ten times.
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

BEAT = "prefect.flow-run.heartbeat"


@dataclass(frozen=True)
class _Open:
    run: FlowRun
    flow: str


_open: dict[str, _Open] = {}


@contextlib.contextmanager
def subflows_beat_together() -> Iterator[None]:
    """While entered, subflows have no heartbeat of their own but the common one."""
    seconds = PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value()
    if seconds is None:
        yield
        return
    stop = threading.Event()
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(_beat, stop, float(seconds)), name="heartbeats", daemon=True
    )
    thread.start()
    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            yield
    finally:
        stop.set()


@contextlib.contextmanager
def beating() -> Iterator[None]:
    """Beat for the subflow that this is called in, while entered."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow is None:
        yield
        return
    key = str(context.flow_run.id)
    _open[key] = _Open(context.flow_run, context.flow.name)
    _tell(_open[key])
    try:
        yield
    finally:
        _open.pop(key, None)


def _beat(stop: threading.Event, seconds: float) -> None:
    while not stop.wait(seconds):
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
