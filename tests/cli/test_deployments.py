"""Deployments as they are made, before a server has them."""

import subprocess
import sys

import pytest

from strop.cli.deployments import STEPS, Schedule, deployment_name, deployments
from strop.cli.quiet import HUSHED
from strop.cli.serve import served
from strop.pipeline.config import Config

PATHS = [
    {"reranker": {"base": "held"}},
    {"bi_encoder": {"model": "held"}},
    {"first_stage": {"more_encoders": {"other": {"model": "held"}}}},
    {"mining": {"more_pools": [{"source": "held"}]}},
    {"mining": {"teacher": "held"}},
    {"evaluation": {"off_the_shelf": "held"}},
    {"decision": {"guard_sets": [{"name": "other", "dataset": "held"}]}},
]


def job_variables(**values):
    """What the processes of every deployment's runs are given."""
    config = Config.model_validate({"dataset": "no folder of this name", **values})
    made = deployments(config, "/store", Schedule("0 2 * * *", "UTC", read_test=False))
    first, *others = [item.job_variables for item in made]
    assert all(item == first for item in others)
    return first


@pytest.mark.parametrize("values", PATHS, ids=lambda values: next(iter(values)))
def test_a_run_of_a_worker_is_where_the_configs_paths_lie(tmp_path, monkeypatch, values):
    monkeypatch.chdir(tmp_path)
    assert job_variables(**values) == {"env": HUSHED}, "a name, not a path: any host will do"
    (tmp_path / "held").mkdir()
    found = job_variables(**values)
    assert found["working_dir"] == str(tmp_path)
    assert found["env"]["PYTHONSAFEPATH"] == "1", "a file of the user's may bear a module's name"


def test_paths_that_hold_everywhere_ask_for_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "held").mkdir()
    base = {"base": str(tmp_path / "held")}
    assert job_variables(reranker=base, bi_encoder={"model": "~/held"}) == {"env": HUSHED}


def test_a_person_is_asked_only_where_the_config_leaves_it_to_one():
    for approval in (False, True):
        config = Config.model_validate({"name": "tiny", "decision": {"approval": approval}})
        made = deployments(config, "/store", Schedule("0 2 * * *", "UTC", read_test=False))
        parameters = {item.name.removesuffix("-tiny"): item.parameters for item in made}
        assert set(parameters) == {step for step in STEPS if approval or step != "promote"}
        assert parameters["assess"]["nights"], "a schedule alone makes no run of the config's name"
    assert parameters["promote"] == {"run": "tiny", "store": "/store", "nights": True}


def test_what_is_served_takes_the_place_of_no_other_stores_or_configs_deployments():
    first, second = ({item.name for item in served(root)} for root in ("/a/.strop", "/b/.strop"))
    assert len(first | second) == 6
    assert not (first | second) & {deployment_name(step, "my-corpus") for step in STEPS}
    assert not (first | second) & set(STEPS)
    assert {item.name for item in served("/a/.strop")} == first, "the same store renews its own"


def test_a_worker_that_ends_by_itself_is_an_error(tmp_path):
    (tmp_path / "prefect.py").write_text("raise SystemExit(3)")  # python -m prefect worker start
    done = subprocess.run(
        [sys.executable, "-c", "from strop.cli.deploy import _work; _work()"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: the worker ended by itself, with exit code 3; the")
    assert len(done.stderr.splitlines()) == 1
