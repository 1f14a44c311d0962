"""Names and rounds that no run could have are refused before a store or a server is there."""

import pytest
import yaml

from strop.cli.deploy import deploy_flows
from strop.cli.deployments import Schedule
from strop.cli.experiment import run_experiment
from strop.cli.runs import OnBranch, run_nightly, run_round
from strop.flows.run_names import arm_name, branch_name, night_name
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError

NIGHTS = Schedule("0 2 * * *", "UTC", read_test=False)
ARMS = {"outside": (), "opponent": None, "split": "dev", "pairs": None, "json": False}
LONG = "x" * 56


@pytest.fixture
def refusal(tmp_path, monkeypatch):
    """The line with which a command refuses a config of this name."""
    path, store = tmp_path / "strop.yaml", tmp_path / "store"
    monkeypatch.setenv("STROP_STATE", str(path))  # no folder: no server can be started

    def told(name, command):
        path.write_text(yaml.safe_dump({"name": name}))
        with pytest.raises(InputError) as refused:
            command(path, str(store))
        assert not store.exists()
        assert "\n" not in str(refused.value)
        return str(refused.value)

    return told


@pytest.mark.parametrize("branch", ["Hot", "", ".hot", "a/b", "hot\n"])
def test_a_branch_whose_name_is_none(refusal, branch):
    def command(path, store):
        run_round(path, 2, store, OnBranch(branch, ()), json=False)

    assert refusal("tiny", command).startswith(f"--branch {branch!r}: expected lower-case letters")


def test_runs_whose_names_would_be_too_long(refusal):
    def on_branch(path, store):
        run_round(path, 2, store, OnBranch("nine-more", ()), json=False)

    def arms(path, store):
        run_experiment(path, store, ["static"], (), seeds=100, **ARMS)

    assert "would have 66 characters, expected at most 64" in refusal(LONG, on_branch)
    assert refusal("x" * 49, arms).startswith("arm 'static': its run 'xxx"), "seed-100 is too long"
    for command in (
        lambda path, store: run_nightly(path, store, read_test=False, json=False),
        lambda path, store: deploy_flows(path, store, NIGHTS, worker=False),
    ):
        assert refusal(LONG, command).startswith("a nightly run: its run 'xxx")


def test_a_round_past_the_configs_last(refusal):
    def command(path, store):
        run_round(path, 9, store, OnBranch(None, ()), json=False)

    assert refusal("tiny", command).startswith("round 9: the config has rounds = ")


def test_names_of_64_characters_are_names_of_configs():
    assert branch_name("tiny", "hot.2") == "tiny.hot.2"
    for name in (branch_name("x" * 60, "hot"), night_name("x" * 55, "0123456789")):
        assert len(Config(name=name).name) == 64
    assert len(arm_name("x" * 50, "static", 1)) == 64
