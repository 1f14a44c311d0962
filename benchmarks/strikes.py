"""The ways in which the fault benchmark strikes a run: see `random_kills.py`."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil

from benchmarks.fault_place import PATIENCE, STROP, Place, wait_for
from benchmarks.worker_processes import engine_of, worker_of


def strike_terminal(place: Place, store: Path, moment: float) -> bool:
    """Kill `strop run`; says whether it was still at work."""
    process = place.start("run", "strop.yaml", "--store", store)
    return _kill_after(process, moment)


def _kill_after(process: subprocess.Popen[str], moment: float) -> bool:
    try:
        process.wait(moment)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True


def strike_server(place: Place, store: Path, moment: float) -> bool:
    """Kill the server under a run, start it again after seconds, and let the run end."""
    process = place.start("run", "strop.yaml", "--store", store)
    try:
        process.wait(moment)
        return False
    except subprocess.TimeoutExpired:
        record = json.loads((place.folder / "state" / "server.json").read_text())
        os.kill(record["pid"], signal.SIGKILL)
        time.sleep(3)
        code = subprocess.run(
            [*STROP, "ui", "--url"], env=place.environment, capture_output=True
        ).returncode
        assert code == 0, "the server does not start again"
        process.wait(PATIENCE)
        return True


def strike_flow_run(place: Place, store: Path, moment: float) -> bool:
    """Kill the process that a worker started for a flow run; the worker sees it and stays."""
    return _strike_worker(place, store, moment, kill_worker=False)


def strike_worker(place: Place, store: Path, moment: float) -> bool:
    """Kill a worker; its flow run goes on without it."""
    return _strike_worker(place, store, moment, kill_worker=True)


def _strike_worker(place: Place, store: Path, moment: float, *, kill_worker: bool) -> bool:
    process = place.start("deploy", "strop.yaml", "--store", store)
    flow_run = None
    try:
        worker = wait_for(lambda: worker_of(process), 60)
        found = place.ask("deployments/name/improve/improve")
        made = place.ask(f"deployments/{found['id']}/create_flow_run", {})
        flow_run = wait_for(lambda: engine_of(worker), 60)
        time.sleep(moment)
        at_work = flow_run.is_running()
        with contextlib.suppress(psutil.NoSuchProcess):
            (worker if kill_worker else flow_run).kill()
        if kill_worker:
            psutil.wait_procs([flow_run], timeout=PATIENCE)
        else:
            ended = lambda: place.ask(f"flow_runs/{made['id']}")["state_type"] == "CRASHED"  # noqa: E731
            wait_for(ended if at_work else lambda: True, 60)
        return at_work
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


STRIKES = {
    "terminal": strike_terminal,
    "flow run": strike_flow_run,
    "worker": strike_worker,
    "server": strike_server,
}
