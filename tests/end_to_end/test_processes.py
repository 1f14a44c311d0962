"""Training by processes of its own: killed ones go on, and none is left behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.pipeline.training.train import Surroundings
from strop.tasks.training_inputs import TrainingInputs
from strop.tasks.training_process import Job, train_together
from tests.end_to_end.conftest import CONFIG, INTERRUPT, KILL, free_port
from tests.end_to_end.test_bucket import bits_there
from tests.end_to_end.test_interruptions import bits

MODULE = "strop.tasks.training_process"


def workers() -> list[psutil.Process]:
    """All training processes of this host, and torchrun's."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if MODULE in (process.info["cmdline"] or ()):
            found.append(process)
    return found


def ranks_of(folder: Path) -> list[psutil.Process]:
    """The processes that train what a folder describes, without torchrun's own."""
    return [
        process
        for process in workers()
        if any(str(folder) in part for part in process.info["cmdline"])
        and "strop.pipeline.training.torchrun" not in process.info["cmdline"]
    ]


class Killing:
    """Kills one of the processes whenever they have begun."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.killed = folder, 0

    def start(self, total: int, unit: str) -> None:
        self.killed += 1
        ranks_of(self.folder)[-1].send_signal(signal.SIGKILL)

    def advance(self, count: int) -> None:
        pass


def job_of(project: Any, **training: Any) -> Job:
    """Round 1 of the finished run, to be trained again by two processes."""
    manifests = project.manifests().values()
    made = next(m for m in manifests if m["stage"] == "train" and m["parameters"]["round"] == 1)
    inputs = TrainingInputs(**{role: ArtifactRef(**ref) for role, ref in made["inputs"].items()})
    values = {**CONFIG, "training": {**CONFIG["training"], "dropout": 0.0, **training}}
    values["execution"] = {"processes": 2, "checkpoint_steps": 5, "threads": 1}
    return Job(str(project.store), inputs, Config.model_validate(values), 1)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


def test_what_a_process_refuses_is_one_line(finished: Any, tmp_path: Path) -> None:
    job = job_of(finished[0], pairs_per_round=2)
    line = r"^training\.pairs_per_round = 2: round 1 begins with a group of \d pairs; [^\n]+$"
    with pytest.raises(InputError, match=line):
        train_together(job, tmp_path, Surroundings())
    assert not ranks_of(tmp_path)


@pytest.mark.slow
def test_a_process_that_is_killed_again_and_again_ends_the_training(
    finished: Any, tmp_path: Path, work: Path
) -> None:
    job = job_of(finished[0], epochs=100)
    killing = Killing(tmp_path)
    with pytest.raises(InputError, match=r"^training: one of 2 processes was killed"):
        train_together(job, tmp_path, Surroundings(checkpoints=work, progress=killing))
    assert killing.killed == 4
    assert not ranks_of(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [KILL, INTERRUPT])
def test_a_run_that_is_stopped_leaves_no_process(project: Any, number: int) -> None:
    """And the same command goes on from the checkpoint, and ends with the rounds done."""
    changes = {"execution": {"processes": 2, "checkpoint_steps": 5}, "rounds": 1}
    file = project.config(**changes, training={"groups_per_step": 4, "epochs": 100})
    process = project.start("run", file)
    checkpoints = lambda: list(project.store.glob("work/reranker/*/checkpoint-*/whole.json"))  # noqa: E731
    wait_until(lambda: bool(checkpoints()) and bool(ranks_of(project.folder)))
    process.send_signal(number)
    process.communicate(timeout=60)
    wait_until(lambda: not ranks_of(project.folder), seconds=10)
    done = project.strop("run", file)
    assert done.returncode == 0, done.stderr
    made = [m for m in project.manifests().values() if m["stage"] == "train"]
    assert [m["execution"] for m in made] == [{"processes": 2, "nodes": 1}]


def wait_until(true: Any, *, seconds: float = 150.0) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.1)


@pytest.mark.slow
def test_two_nodes_meet_and_train_a_round(project: Any) -> None:
    """On one host: the run on one node, torchrun by hand on the other."""
    meeting = f"127.0.0.1:{free_port()}"
    changes = {"execution": {"nodes": 2, "rendezvous": meeting}, "rounds": 1}
    options = ["--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "3"]
    options += ["--rdzv-backend", "c10d", "--rdzv-id", "strop", "--rdzv-endpoint", meeting]
    command = [sys.executable, "-m", "strop.pipeline.training.torchrun", *options, "-m", MODULE]
    other = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        done = project.strop("run", project.config(**changes))
        assert done.returncode == 0, done.stderr
        assert other.wait(30) == 0
    finally:
        other.kill()
    made = [m for m in project.manifests().values() if m["stage"] == "train"]
    assert [m["execution"] for m in made] == [{"processes": 1, "nodes": 2}]


def steps_there(cache: Path) -> set[int]:
    """The steps of all whole checkpoints of a bucket's run, which stay on this host."""
    found = cache.glob("*/work/reranker/*/checkpoint-*/whole.json")
    return {int(path.parent.name.rpartition("-")[2]) for path in found}


@pytest.mark.slow
def test_processes_train_from_a_bucket_what_they_train_from_a_folder(
    project: Any, bucket: str, s3: Any, tmp_path: Path
) -> None:
    """The same bits, also when one of them was killed and all went on from the last checkpoint."""
    cache = tmp_path / "cache"
    environment = {**s3.environment(), "STROP_CACHE": str(cache)}
    execution = {"processes": 2, "checkpoint_steps": 5, "threads": 1}
    file = project.config(execution=execution, rounds=1, training={"epochs": 40})
    done = project.strop("run", file)
    assert done.returncode == 0, done.stderr
    process = project.start("run", file, "--store", bucket, **environment)
    wait_until(lambda: bool(steps_there(cache)) and len(ranks_of(cache)) == 2)
    victims, last = ranks_of(cache), max(steps_there(cache))
    victims[-1].send_signal(signal.SIGKILL)
    wait_until(lambda: not any(victim.is_running() for victim in victims))
    last = max(last, *steps_there(cache))
    seen: set[int] = set()
    while process.poll() is None:
        seen |= steps_there(cache)
        time.sleep(0.02)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert min(seen) >= last
    assert max(seen) > last
    reports = {item.id for item in Store(bucket).artifacts("report")}
    theirs = {key: files for key, files in bits_there(bucket).items() if key not in reports}
    ours = {key: files for key, files in bits(project).items() if key not in reports}
    assert theirs == ours
    (made,) = [item for item in Store(bucket).artifacts("reranker") if item.stage == "train"]
    assert made.execution == {"processes": 2, "nodes": 1}
