"""A machine that lost its power in the middle of a deployment's run, and starts again."""

import json
import subprocess
import sys
import urllib.request
from dataclasses import dataclass

import pytest

from strop.cli.lost_processes import worker_name
from tests.end_to_end.conftest import Project
from tests.end_to_end.test_production import flow_runs, post

LOOK = """
from strop.cli.lost_processes import end_lost_runs_of_this_machine
print(end_lost_runs_of_this_machine("lost"))
"""
EXPIRE = """
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
with get_client(sync_client=True) as client:
    limit = client.read_deployment("{deployment}").global_concurrency_limit
    free = GlobalConcurrencyLimitUpdate(active_slots=0)
    client.update_global_concurrency_limit(limit.name, free)
"""
END = """
from prefect.client.orchestration import get_client
from strop.flows.lost_runs import end_run
with get_client(sync_client=True) as client:
    end_run(client, client.read_flow_run("{run}"))
"""


@dataclass(frozen=True)
class Deployment:
    """One whose second run is cancelled while one is on, and runs of it that nobody works on."""

    project: Project
    api: str
    id: str

    def take(self, name):
        """The state of a run that a worker would have taken: Pending, or Cancelled."""
        made = post(f"{self.api}/deployments/{self.id}/create_flow_run", {"name": name})
        address = f"{self.api}/flow_runs/{made['id']}/set_state"
        state = post(address, {"state": {"type": "PENDING"}})["state"]["type"]
        if state == "PENDING":
            post(address, {"state": {"type": "RUNNING"}})
        return state

    def state(self, name):
        return flow_runs(self.api, name)[name]["state_type"]

    def program(self, text):
        environment = {**self.project.environment, "PREFECT_API_URL": self.api}
        done = subprocess.run(
            [sys.executable, "-c", text], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def deployment(project):
    api = project.strop("ui", "--url").stdout.strip() + "/api"
    with urllib.request.urlopen(f"{api}/work_pools/filter", b"{}") as found:
        if "lost" not in [pool["name"] for pool in json.load(found)]:
            post(f"{api}/work_pools/", {"name": "lost", "type": "process"})
    name = project.folder.name
    flow = post(f"{api}/flows/", {"name": name})
    alone = {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    values = {"name": name, "flow_id": flow["id"], "work_pool_name": "lost"}
    values |= {"concurrency_limit": 1, "concurrency_options": alone}
    return Deployment(project, api, post(f"{api}/deployments/", values)["id"])


def test_a_run_whose_process_is_gone_is_crashed_and_leaves_its_deployments_slot(deployment):
    assert deployment.take("first lost") == "PENDING"
    assert deployment.take("second lost") == "CANCELLED", "the slot is taken"
    assert deployment.program(LOOK) == "[]", "nobody knows where the run's process is"
    told = {"name": worker_name(), "heartbeat_interval_seconds": 30}
    post(f"{deployment.api}/work_pools/lost/workers/heartbeat", told)
    assert deployment.program(LOOK) == "['first lost']"
    assert deployment.state("first lost") == "CRASHED"
    assert deployment.take("third lost") == "PENDING"


def test_a_lost_run_does_not_give_away_the_slot_that_another_holds_by_now(deployment):
    assert deployment.take("early") == "PENDING"
    deployment.program(EXPIRE.format(deployment=deployment.id))
    assert deployment.take("late") == "PENDING"
    run = flow_runs(deployment.api, "early")["early"]["id"]
    deployment.program(END.format(run=run))
    assert deployment.state("early") == "CRASHED"
    assert deployment.take("third") == "CANCELLED"


def test_a_lost_run_of_a_deployment_that_is_gone_is_crashed(deployment):
    assert deployment.take("left over") == "PENDING"
    address = f"{deployment.api}/deployments/{deployment.id}"
    urllib.request.urlopen(urllib.request.Request(address, method="DELETE")).close()
    run = flow_runs(deployment.api, "left over")["left over"]["id"]
    deployment.program(END.format(run=run))
    assert deployment.state("left over") == "CRASHED"
