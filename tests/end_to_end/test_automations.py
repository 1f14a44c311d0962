"""What a run leaves behind that failed or went silent: a clear state, and somebody who knows."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.end_to_end.conftest import KILL, free_port
from tests.end_to_end.test_production import flow_runs, post

BLOCK = """
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Webhook
Webhook(
    name="ops",
    url="http://127.0.0.1:{port}/{{{{token}}}}",
    json_data={{"subject": "{{{{subject}}}}", "body": "{{{{body}}}}"}},
    secrets={{"token": "hush"}},
).save("{name}", overwrite=True)
"""


@pytest.fixture
def hook():
    """A web hook of this machine, and what it was told."""
    told = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["content-length"])
            told.append((self.path, json.loads(self.rfile.read(length))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, told
    server.shutdown()
    thread.join()
    server.server_close()


def prefect(environment, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_for(found, seconds):
    deadline = time.monotonic() + seconds
    while not found() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert found()


@pytest.mark.slow
def test_a_deployments_failed_run_is_told_of_through_a_block(project, hook):
    port, told = hook
    ui = project.strop("ui", "--url").stdout.strip()
    environment = {**project.environment, "PREFECT_API_URL": f"{ui}/api"}
    name = project.folder.name.replace("_", "-").lower()
    prefect(environment, "-c", BLOCK.format(port=port, name=name))
    options = ("--no-worker", "--notify", f"custom-webhook/{name}")
    config = project.config(decision={"approval": True})
    done = project.strop("deploy", config, *options)
    assert done.returncode == 0, done.stderr
    assert "automation 'strop: tell of failed runs'" in done.stdout
    assert project.strop("deploy", config, *options).returncode == 0
    names = [item["name"] for item in post(f"{ui}/api/automations/filter", {})]
    assert sorted(names) == ["strop: silent runs are crashed", "strop: tell of failed runs"]

    address = f"{ui}/api/deployments/name/promote%20by%20hand/promote-tiny"
    with urllib.request.urlopen(address) as found:
        deployment = json.load(found)
    made = post(f"{ui}/api/deployments/{deployment['id']}/create_flow_run", {})
    prefect(environment, "-m", "prefect", "worker", "start", "--pool", "strop", "--run-once")
    wait_for(lambda: told, 20)
    ((path, message),) = told
    assert path == "/hush", "the block's secret, which stands in no parameter"
    assert message["subject"] == "strop: promote tiny by hand is Failed"
    assert "tiny" in message["body"]
    assert f"/runs/flow-run/{made['id']}" in message["body"]


def test_a_block_that_is_not_there_is_one_line(project):
    options = ("--no-worker", "--notify", "custom-webhook/nobody")
    done = project.strop("deploy", project.config(), *options)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --notify custom-webhook/nobody: the server has no such")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_silent_run_and_its_subflow_are_crashed_after_90_seconds(project):
    done = project.strop("deploy", project.config(), "--no-worker")
    assert done.returncode == 0, done.stderr
    config = project.config("silent.yaml", name="silent", training={"epochs": 100})
    killed = project.stop_at("✓ list suspects · round 1", KILL, "run", config)
    assert killed.returncode == -KILL
    api = project.strop("ui", "--url").stdout.strip() + "/api"

    def states():
        return {name: run["state_type"] for name, run in flow_runs(api, "silent").items()}

    assert states() == {
        "improve silent": "RUNNING",
        "prepare silent": "COMPLETED",
        "silent round 1": "RUNNING",
    }
    wait_for(lambda: "RUNNING" not in states().values(), 150)
    assert states() == {
        "improve silent": "CRASHED",
        "prepare silent": "COMPLETED",
        "silent round 1": "CRASHED",
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_that_was_lost_with_its_server_is_crashed_when_the_server_is_back(project, tmp_path):
    own = {"STROP_STATE": str(tmp_path / "state"), "STROP_SERVER_PORT": str(free_port())}
    config = project.config("dark.yaml", name="dark", training={"epochs": 100})
    try:
        done = project.strop("deploy", config, "--no-worker", **own)
        assert done.returncode == 0, done.stderr
        killed = project.stop_at("✓ list suspects · round 1", KILL, "run", config, **own)
        assert killed.returncode == -KILL
        os.kill(json.loads((tmp_path / "state" / "server.json").read_text())["pid"], KILL)
        api = project.strop("ui", "--url", **own).stdout.strip() + "/api"
        assert flow_runs(api, "improve dark")["improve dark"]["state_type"] == "RUNNING"
        again = project.strop("deploy", config, "--no-worker", **own)
        assert again.returncode == 0, again.stderr
        wait_for(
            lambda: flow_runs(api, "improve dark")["improve dark"]["state_type"] == "CRASHED", 150
        )
    finally:
        project.strop("ui", "--stop", **own)
