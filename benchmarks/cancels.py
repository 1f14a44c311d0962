"""The cancel benchmark: a run is cancelled through the API in every stage that takes time.

    python -m benchmarks.cancels

One run of a terminal and one of a worker, each on a store of its own, are cancelled as the UI does
it, in one stage after the other: the run is started, its flow run is set to Cancelling when the
stage is at work, and we look until its process and all below it are gone. Each next run resumes the
one before, up to the last, which nobody cancels. What was in the store when a run was cancelled
must not be made anew, `verify --deep` must find it whole, the flow run and all below must be in an
ended state, and the end must have the bits of a run that nobody cancelled.
"""

import argparse
import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.fault_place import Place, bits, defects, make_place, manifests, wait_for
from benchmarks.worker_processes import engine_of, worker_of
from strop.cli.output import INTERRUPTED

STAGES = (
    "encode · prepare",
    "retrieve · prepare",
    "tokenize · prepare",
    "train · round 1",
    "rerank · round 1",
    "score · round 2",
)
START_SECONDS, STAGE_SECONDS = 90.0, 240.0
LIMIT_SECONDS = 10.0
INTO_SECONDS = 0.5
"""A stage is cancelled when it has been at work for so long."""
ENDED = ("COMPLETED", "CANCELLED", "CRASHED", "FAILED")
LONG: dict[str, Any] = {
    "rounds": 2,
    "first_stage": {"depth": 1000},
    "mining": {"pool_size": 100, "window_size": 100},
    "training": {"epochs": 12},
    "evaluation": {"depth": 100},
}
"""What makes the stages long enough to be cancelled; the data have more of everything, too."""
SIZES = {"passages": 20_000, "train": 1_000, "dev": 400, "gate": 20, "test": 10}


@dataclass(frozen=True)
class Cancelled:
    """How long a run's processes outlived its cancel, the stage's state then, and what is wrong."""

    seconds: float
    stage: str
    problems: list[str]


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all below it."""
    return [process, *process.children(recursive=True)]


class Terminal:
    """Runs started by `strop run`."""

    title = "terminal"

    def __init__(self, place: Place, store: Path) -> None:
        """Work on this store."""
        self._place, self._store = place, store
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> psutil.Process:
        """The process of a run that was just started."""
        self._process = self._place.start("run", "strop.yaml", "--store", self._store)
        return psutil.Process(self._process.pid)

    def reap(self) -> None:
        """Take note of the end of our child, which stays a zombie otherwise."""
        if self._process is not None:
            self._process.poll()

    def complaints(self) -> list[str]:
        """What is wrong with how the command ended."""
        assert self._process is not None
        code, last = self._process.wait(), self._place.said().splitlines()[-1]
        well = code == INTERRUPTED and last.startswith("error: cancelled by hand")
        return [] if well else [f"ended with {code}: {last}"]

    def close(self) -> None:
        """Nothing is left to end."""


class Worker:
    """Runs started from the deployment of `improve`, carried out by a worker."""

    title = "worker"

    def __init__(self, place: Place, store: Path) -> None:
        """Deploy for this store, and wait for the worker."""
        self._place = place
        self._process = place.start("deploy", "strop.yaml", "--store", store)
        self._worker = wait_for(lambda: worker_of(self._process), START_SECONDS)
        self._deployment = place.ask("deployments/name/improve/improve-faults")["id"]

    def start(self) -> psutil.Process:
        """The process of a flow run that the worker has just started."""
        self._place.ask(f"deployments/{self._deployment}/create_flow_run", {})
        found: psutil.Process | None = wait_for(lambda: engine_of(self._worker), START_SECONDS)
        assert found is not None
        return found

    def reap(self) -> None:
        """The worker does it."""

    def complaints(self) -> list[str]:
        """What is wrong with the worker: it must be there for the next run."""
        return [] if _alive(self._worker) else ["the worker is gone"]

    def close(self) -> None:
        """End the worker."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)


def newest(place: Place) -> str:
    """The flow run of the run that was started last."""
    body = {
        "flow_runs": {"name": {"any_": ["improve faults"]}},
        "sort": "EXPECTED_START_TIME_DESC",
        "limit": 1,
    }
    return str(place.ask("flow_runs/filter", body)[0]["id"])


def tasks(place: Place, stage: str, begun: float) -> list[dict[str, Any]]:
    """The task runs of a stage that started since then."""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun))
    body = {"task_runs": {"name": {"any_": [stage]}, "start_time": {"after_": since}}}
    found: list[dict[str, Any]] = place.ask("task_runs/filter", body)
    return found


def cancel(place: Place, way: Terminal | Worker, store: Path, stage: str) -> Cancelled:
    """Start, wait for the stage, cancel, and look until nothing of it runs."""
    begun = time.time()
    process = way.start()
    wait_for(lambda: tasks(place, stage, begun), STAGE_SECONDS)
    time.sleep(INTO_SECONDS)
    flow_run, processes = newest(place), family(process)
    before = manifests(store)
    asked = time.monotonic()
    place.ask(f"flow_runs/{flow_run}/set_state", {"state": {"type": "CANCELLING"}})
    wait_for(lambda: _gone(way, processes), 120)
    seconds = time.monotonic() - asked
    wait_for(lambda: place.ask(f"flow_runs/{flow_run}")["state_type"] == "CANCELLED", 60)
    state = tasks(place, stage, begun)[-1]["state_type"].lower()
    problems = [*way.complaints(), *_problems(place, store, before)]
    if seconds > LIMIT_SECONDS:
        problems.append(f"{seconds:.1f} s until its processes were gone")
    return Cancelled(seconds, state, problems)


def _gone(way: Terminal | Worker, processes: list[psutil.Process]) -> bool:
    way.reap()
    return not any(_alive(process) for process in processes)


def _alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _problems(place: Place, store: Path, before: dict[str, str]) -> list[str]:
    after = manifests(store)
    problems = defects(store)
    if any(after.get(path) != text for path, text in before.items()):
        problems.append("finished artifacts were made anew")
    body = {"flow_runs": {"state": {"type": {"not_any_": list(ENDED)}}}}
    if left := [run["name"] for run in place.ask("flow_runs/filter", body) if run["start_time"]]:
        problems.append(f"flow runs are open: {', '.join(left)}")
    return problems


def chain(
    place: Place, kind: type[Terminal] | type[Worker], clean: dict[str, dict[str, str]]
) -> Iterator[tuple[str, Cancelled]]:
    """Cancel in each stage, and let the last run end."""
    store = place.folder / f"store-{kind.title}"
    way, kept = kind(place, store), {}
    try:
        for stage in STAGES:
            found = cancel(place, way, store, stage)
            if any(manifests(store).get(path) != text for path, text in kept.items()):
                found.problems.append("what was there before was made anew")
            kept = manifests(store)
            yield stage, found
    finally:
        way.close()
    code = place.strop("run", "strop.yaml", "--store", store)
    problems = [] if code == 0 else [f"exit code {code}: {place.said()[-300:]}"]
    if bits(store) != clean:
        problems.append("the end is not that of a run that nobody cancelled")
    if any(manifests(store).get(path) != text for path, text in kept.items()):
        problems.append("the last run made anew what was there")
    yield "(the last run ends)", Cancelled(0.0, "completed", [*problems, *defects(store)])


def main() -> None:
    """Run the benchmark from the command line; exit code 1 when a cancel showed a problem."""
    parser = argparse.ArgumentParser(description="A run is cancelled in each of its stages.")
    parser.add_argument("--only", choices=("terminal", "worker"), help="one of the two ways")
    wanted, bad = parser.parse_args().only, 0
    folder = Path(tempfile.mkdtemp(prefix="strop-cancels-"))
    place = make_place(folder, sizes=SIZES, values=LONG)
    try:
        assert place.strop("run", "strop.yaml", "--store", folder / "clean") == 0, place.said()
        clean = bits(folder / "clean")
        for kind in (Terminal, Worker):
            if wanted in (None, kind.title):
                for stage, found in chain(place, kind, clean):
                    told = "; ".join(found.problems) or "well"
                    line = f"{kind.title:<9} {stage:<20} {found.seconds:5.1f} s"
                    print(f"{line}  {found.stage:<10} {told}", flush=True)
                    bad += bool(found.problems)
    finally:
        place.strop("ui", "--stop")
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
