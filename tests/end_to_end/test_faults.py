"""Faults that last: a process that sleeps past its lease, a locked database, a stage that fails."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.test_gpu_slot import read_until
from tests.end_to_end.test_production import flow_runs, post

pytestmark = pytest.mark.slow

SHORT_LEASE = """
from strop.artifacts import leases
leases.EXPIRY_SECONDS, leases.HEARTBEAT_SECONDS = 3.0, 0.5
from strop.cli.main import main
main()
"""
FAILS_ONCE = """
import errno
from strop.artifacts.store import Store
commit, failed = Store.commit, []
def flaky(self, attempt, **values):
    if attempt.recipe.stage == "train" and not failed:
        failed.append(1)
        raise OSError(errno.EIO, "Input/output error")
    return commit(self, attempt, **values)
Store.commit = flaky
from strop.cli.main import main
main()
"""


def started(project, program, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_process_that_was_stopped_past_its_lease_writes_nothing_more(project):
    config = project.config("asleep.yaml", name="asleep", training={"epochs": 30})
    first = started(project, SHORT_LEASE, "run", config)
    read_until(first, "✓ list suspects · round 1")
    first.send_signal(signal.SIGSTOP)
    try:
        time.sleep(4)
        second = started(project, SHORT_LEASE, "run", config)
        _, errors = second.communicate(timeout=280)
        assert second.returncode == 0, errors
        record = {path: path.read_bytes() for path in project.store.glob("runs/asleep/**/*.json")}
        moves = sorted(project.store.glob("refs/**/*.json"))
    finally:
        first.send_signal(signal.SIGCONT)
    _, errors = first.communicate(timeout=100)
    assert first.returncode == 2
    assert errors.strip().splitlines()[-1].startswith("error: run asleep: another process has")
    same = {path: path.read_bytes() for path in project.store.glob("runs/asleep/**/*.json")}
    assert {path for path in record if "lease" not in str(path)} <= set(same)
    assert all(same[path] == text for path, text in record.items() if path in same)
    assert sorted(project.store.glob("refs/**/*.json")) == moves
    assert project.strop("artifacts", "verify", "--deep").returncode == 0


def test_a_locked_database_only_delays_a_run(project):
    process = project.start("run", project.config("locked.yaml", name="locked", seed=8))
    read_until(process, "✓ import model")
    database = Path(project.environment["STROP_STATE"]) / "home" / "prefect.db"
    with sqlite3.connect(database, timeout=30, isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(15)
        connection.execute("ROLLBACK")
    connection.close()
    _, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors


def test_a_stage_that_fails_once_is_tried_again(project):
    config = project.config("flaky.yaml", name="flaky", seed=9, rounds=1)
    process = started(project, FAILS_ONCE, "run", config)
    _, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors
    api = project.strop("ui", "--url").stdout.strip() + "/api"
    body = {"task_runs": {"name": {"any_": ["train · round 1"]}}}
    body["flow_runs"] = {"id": {"any_": [flow_runs(api, "flaky")["flaky round 1"]["id"]]}}
    (task,) = patiently(f"{api}/task_runs/filter", body)
    assert (task["state_type"], task["run_count"]) == ("COMPLETED", 2)


def patiently(url, body):
    """The server's answer; it says 503 to a write while its SQLite is being written to."""
    for _ in range(50):
        try:
            return post(url, body)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(0.2)
    return post(url, body)


def engines(worker):
    found = psutil.Process(worker.pid).children(recursive=True)
    return [child for child in found if child.is_running()]


def test_a_workers_run_that_is_cancelled_in_training_ends_with_its_children(project):
    stage = "train · round 1"
    here = {"bi_encoder": {"model": "encoder"}, "reranker": {"base": "encoder"}}  # not the worker's
    config = project.config("worked.yaml", name="worked", training={"epochs": 100}, seed=7, **here)
    worker = project.start("deploy", config)
    try:
        line = read_until(worker, "nightly-worked  ")
        api = line.split()[1].partition("/deployments")[0] + "/api"
        read_until(worker, "started!")
        body = {"deployments": {"name": {"any_": ["improve-worked"]}}}
        (deployment,) = patiently(f"{api}/deployments/filter", body)
        made = patiently(f"{api}/deployments/{deployment['id']}/create_flow_run", {})
        await_task(api, stage, "worked")
        before = engines(worker)
        patiently(f"{api}/flow_runs/{made['id']}/set_state", {"state": {"type": "CANCELLING"}})
        asked = time.monotonic()
        while len(engines(worker)) > 1 and time.monotonic() - asked < 60:
            time.sleep(0.2)
        took = time.monotonic() - asked
        assert len(before) > 1
        assert took < 20, f"{took:.1f} s; ten on a machine that is not busy"
    finally:
        worker.send_signal(signal.SIGINT)
        worker.communicate(timeout=60)
    assert project.strop("artifacts", "verify", "--deep").returncode == 0
    kinds = [manifest["kind"] for manifest in project.manifests().values()]
    assert kinds.count("reranker") == 1, "the untuned one; nothing half-trained"


def await_task(api, name, run):
    """Return once the task of that name has been at work for a moment."""
    body = {"task_runs": {"name": {"any_": [name]}, "state": {"type": {"any_": ["RUNNING"]}}}}
    body["flow_runs"] = {"name": {"like_": run}}
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        if patiently(f"{api}/task_runs/filter", body):
            time.sleep(2)
            return
        time.sleep(0.5)
    raise AssertionError(f"{name} of {run} never ran; load {os.getloadavg()}")
