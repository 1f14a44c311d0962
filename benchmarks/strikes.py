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

ENDED = ("CRASHED", "COMPLETED", "CANCELLED", "FAILED")


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
        _kill_server(place)
        time.sleep(3)
        _start_server(place)
        process.wait(PATIENCE)
        return True


def _kill_server(place: Place) -> None:
    record = json.loads((place.folder / "state" / "server.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)


def _start_server(place: Place) -> None:
    command = [*STROP, "ui", "--url"]
    code = subprocess.run(command, env=place.environment, capture_output=True).returncode
    assert code == 0, "the server does not start again"


def strike_flow_run(place: Place, store: Path, moment: float) -> bool:
    """Kill the process that a worker started for a flow run; the worker sees it and stays."""
    return _strike_worker(place, store, moment, kill_worker=False)


def strike_worker(place: Place, store: Path, moment: float) -> bool:
    """Kill a worker; its flow run goes on without it."""
    return _strike_worker(place, store, moment, kill_worker=True)


def strike_machine(place: Place, store: Path, moment: float) -> bool:
    """Kill all at once, as a machine does that loses its power, and start server and worker again.

    The deployment's next run goes on, and ends what the lost one left open.
    """
    process = place.start("deploy", "strop.yaml", "--store", store)
    worker, flow_run, made = _flow_run(place, process)
    time.sleep(moment)
    at_work = flow_run.is_running()
    _kill_server(place)
    for victim in (flow_run, worker, psutil.Process(process.pid)):
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    process.wait()
    _start_server(place)
    process = place.start("deploy", "strop.yaml", "--store", store)
    try:
        wait_for(lambda: _next_run(place) == "COMPLETED", PATIENCE)
        assert _state(place, made) in ENDED, "the lost run is open in the UI"
        return at_work
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _next_run(place: Place) -> str:
    """How the deployment's next run ends; cancelled while the lost one's slot is not yet free."""
    found = place.ask("deployments/name/improve/improve-faults")
    made = place.ask(f"deployments/{found['id']}/create_flow_run", {})
    wait_for(lambda: _state(place, made["id"]) in ENDED, PATIENCE)
    return _state(place, made["id"])


def _state(place: Place, flow_run_id: str) -> str:
    return str(place.ask(f"flow_runs/{flow_run_id}")["state_type"])


def _flow_run(
    place: Place, process: subprocess.Popen[str]
) -> tuple[psutil.Process, psutil.Process, str]:
    """The worker, the process of a run that it was given, and the id of that run."""
    worker = wait_for(lambda: worker_of(process), 60)
    found = place.ask("deployments/name/improve/improve-faults")
    made = place.ask(f"deployments/{found['id']}/create_flow_run", {})
    return worker, wait_for(lambda: engine_of(worker), 60), made["id"]


def _strike_worker(place: Place, store: Path, moment: float, *, kill_worker: bool) -> bool:
    process = place.start("deploy", "strop.yaml", "--store", store)
    try:
        worker, flow_run, made = _flow_run(place, process)
        time.sleep(moment)
        at_work = flow_run.is_running()
        with contextlib.suppress(psutil.NoSuchProcess):
            (worker if kill_worker else flow_run).kill()
        if kill_worker:
            psutil.wait_procs([flow_run], timeout=PATIENCE)
        else:
            ended = lambda: place.ask(f"flow_runs/{made}")["state_type"] == "CRASHED"  # noqa: E731
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
    "machine": strike_machine,
}
