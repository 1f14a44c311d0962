"""One stage at a time computes with a reranker, and a killed one leaves its slot."""

import subprocess
import sys
import time

import pytest

from tests.end_to_end.conftest import KILL

pytestmark = pytest.mark.slow

HOLDER = """
import time
from strop.cli.output import console
from strop.cli.running import prefect_server
with prefect_server(console()):
    from prefect import flow, task
    from strop.tasks.gpu_slot import slot
    @task
    def hold():
        with slot("gpu", "train · round 1"):
            print("held", flush=True)
            time.sleep(300)
    @flow
    def holding():
        hold()
    holding()
"""


def read_until(process, words):
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"ended without {words!r}: {process.communicate()}")


def test_a_run_waits_for_the_slot_and_gets_it_when_its_holder_is_killed(project):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    read_until(holder, "held")
    run = project.start("run", project.config("waits.yaml", name="waits", seed=4))
    try:
        line = read_until(run, "waits for")
        who = f"train · round 1 in process {holder.pid}"
        assert line == f"  train · round 1: waits for the slot gpu, which {who} holds\n"
        holder.send_signal(KILL)
        killed = time.monotonic()
        read_until(run, "✓ train · round 1")
        took = time.monotonic() - killed
        assert took < 30, f"{took:.1f} s; two on a machine that is not busy"
    finally:
        for process in (holder, run):
            process.kill()
            process.communicate()
