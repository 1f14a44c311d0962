"""Flow runs of this machine's workers whose process is gone, as after a power cut.

Prefect keeps no record of where a run's process is. The workers of `strop deploy` bear the name of
their machine, and a process that works on a flow run has the run's id in its environment. A run is
given up only where no other machine's worker can have taken it and no process here works on it.
"""

import hashlib
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, Worker

RUN_ID = "PREFECT__FLOW_RUN_ID"
UNSEEN = timedelta(minutes=3)
"""A worker at work was seen by the server within this time: it tells of itself every 30 seconds."""


def worker_name() -> str:
    """A name for a worker that this process starts: of this machine, and of it alone."""
    return f"{_machine()} {os.getpid()}"


def end_lost_runs_of_this_machine(pool: str) -> list[str]:
    """Mark the runs of a pool Crashed whose process was of this machine and is gone.

    Their slots are free then. Returns their names.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter

    from strop.flows.lost_runs import OPEN, end_run

    in_pool: Any = {"any_": [pool]}
    ended = []
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=OPEN),  # type: ignore[arg-type]
            work_pool_filter=WorkPoolFilter(name=in_pool),
        )
        workers = client.read_workers_for_work_pool(pool)
        at_work = AtWork.now()
        for run in found:
            if not is_lost(run, workers, at_work):
                continue
            latest = client.read_flow_run(run.id)
            if latest.state_id == run.state_id:  # or it had ended while we looked
                end_run(client, latest)
                ended.append(latest.name)
    return ended


def end_runs_without_process(deployments: list[str]) -> list[str]:
    """Mark the runs of deployments Crashed that no process here works on; returns their names.

    It is for deployments that no other machine carries out. One that starts just now, by another
    `strop serve` of this machine, has no process yet, and is left alone.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter

    from strop.flows.lost_runs import OPEN, end_run

    among: Any = {"any_": deployments}
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=OPEN),  # type: ignore[arg-type]
            deployment_filter=DeploymentFilter(name=among),
        )
        at_work = AtWork.now()
        begun = [run for run in found if run.state and not run.state.is_pending()]
        lost = [run for run in begun if str(run.id) not in at_work.flow_runs]
        for run in lost:
            end_run(client, run)
    return [run.name for run in lost]


@dataclass(frozen=True)
class AtWork:
    """What this user's processes on this machine work on: flow runs, and workers by name."""

    flow_runs: frozenset[str]
    command_lines: tuple[tuple[str, ...], ...]

    @classmethod
    def now(cls) -> "AtWork":
        """Look at every process that may be looked at."""
        seen = list(_processes())
        ids = frozenset(environment[RUN_ID] for environment, _ in seen if RUN_ID in environment)
        return cls(ids, tuple(command for _, command in seen))

    def has_worker(self, name: str) -> bool:
        """Whether a worker of this name lives here."""
        return any(name in command for command in self.command_lines)


def is_lost(run: "FlowRun", workers: "list[Worker]", at_work: AtWork) -> bool:
    """Whether a worker of this machine took the run, and its process is gone.

    A worker that lives may be about to start the process of a run that it has just taken.
    """
    if str(run.id) in at_work.flow_runs:
        return False
    due = run.expected_start_time or run.created
    takers = [worker.name for worker in workers if _seen_after(worker, due)]
    if not takers or not all(name.startswith(f"{_machine()} ") for name in takers):
        return False
    starts = run.state is None or run.state.is_pending()
    return not (starts and any(at_work.has_worker(name) for name in takers))


def _seen_after(worker: "Worker", due: datetime | None) -> bool:
    seen = worker.last_heartbeat_time
    return seen is None or due is None or seen > due - UNSEEN


def _processes() -> Iterator[tuple[dict[str, str], tuple[str, ...]]]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            yield process.environ(), tuple(process.cmdline())


def _machine() -> str:
    """This user on this machine, the same after it has started anew; a container's does not last.

    Names of hosts need not be unique among those that share a server.
    """
    parts = [socket.gethostname(), str(uuid.getnode()), str(os.getuid())]
    with suppress(OSError):
        parts.append(Path("/etc/machine-id").read_text("ascii").strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return f"strop {parts[0]} {hashlib.sha256(' '.join(parts).encode()).hexdigest()[:8]}"
