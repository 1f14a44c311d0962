"""A machine that lost its power in the middle of a deployment's run, and starts again."""

import subprocess
import sys

from strop.cli.lost_processes import worker_name
from tests.end_to_end.test_production import flow_runs, post

LOOK = """
from strop.cli.lost_processes import end_lost_runs_of_this_machine
print(end_lost_runs_of_this_machine("lost"))
"""


def test_a_run_whose_process_is_gone_is_crashed_and_leaves_its_deployments_slot(project):
    api = project.strop("ui", "--url").stdout.strip() + "/api"
    post(f"{api}/work_pools/", {"name": "lost", "type": "process"})
    flow = post(f"{api}/flows/", {"name": "lost"})
    alone = {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    values = {"name": "lost", "flow_id": flow["id"], "work_pool_name": "lost"}
    values |= {"concurrency_limit": 1, "concurrency_options": alone}
    deployment = post(f"{api}/deployments/", values)

    def taken(name):
        made = post(f"{api}/deployments/{deployment['id']}/create_flow_run", {"name": name})
        address = f"{api}/flow_runs/{made['id']}/set_state"
        state = post(address, {"state": {"type": "PENDING"}})["state"]["type"]
        if state == "PENDING":
            post(address, {"state": {"type": "RUNNING"}})
        return state

    def look():
        environment = {**project.environment, "PREFECT_API_URL": api}
        done = subprocess.run(
            [sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert taken("first lost") == "PENDING"
    assert taken("second lost") == "CANCELLED", "the slot is taken"
    assert look() == "[]", "nobody knows where the run's process is"
    told = {"name": worker_name(), "heartbeat_interval_seconds": 30}
    post(f"{api}/work_pools/lost/workers/heartbeat", told)
    assert look() == "['first lost']"
    assert flow_runs(api, "first lost")["first lost"]["state_type"] == "CRASHED"
    assert taken("third lost") == "PENDING"
