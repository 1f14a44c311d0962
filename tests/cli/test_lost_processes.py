"""Which flow runs are given up: those that only this machine can have taken and nobody works on."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, Worker
from prefect.states import Pending, Running

from strop.cli.lost_processes import RUN_ID, AtWork, is_lost, worker_name

NOW = datetime.now(UTC)
NOBODY = AtWork(frozenset(), ())


def flow_run(state):
    return FlowRun(flow_id=uuid4(), state=state, expected_start_time=NOW - timedelta(minutes=9))


def worker(name, minutes_ago):
    seen = NOW - timedelta(minutes=minutes_ago)
    return Worker(name=name, work_pool_id=uuid4(), last_heartbeat_time=seen)


def here(minutes_ago=1):
    return worker(worker_name(), minutes_ago)


@pytest.mark.parametrize("state", [Pending(), Running()])
def test_a_run_of_this_machine_without_a_process_is_lost(state):
    assert is_lost(flow_run(state), [here()], NOBODY)


def test_a_run_that_another_machine_may_have_taken_is_left_alone():
    other = worker("strop elsewhere 12345678 7", 1)
    assert not is_lost(flow_run(Running()), [here(), other], NOBODY)
    assert not is_lost(flow_run(Running()), [worker("ProcessWorker 1", 1)], NOBODY)
    assert not is_lost(flow_run(Running()), [], NOBODY)
    long_gone = worker("ProcessWorker 1", minutes_ago=60)
    assert is_lost(flow_run(Running()), [here(), long_gone], NOBODY)


def test_a_run_that_a_process_works_on_is_left_alone():
    run = flow_run(Running())
    environment = {**os.environ, RUN_ID: str(run.id)}
    process = subprocess.Popen([sys.executable, "-c", "input()"], env=environment, stdin=-1)
    try:
        assert not is_lost(run, [here()], AtWork.now())
    finally:
        process.communicate()
    assert is_lost(run, [here()], AtWork.now())


def test_a_run_that_a_living_worker_has_just_taken_is_left_alone():
    at_work = AtWork(frozenset(), (("prefect", "worker", "start", "--name", worker_name()),))
    assert not is_lost(flow_run(Pending()), [here()], at_work)
    assert is_lost(flow_run(Running()), [here()], at_work)
