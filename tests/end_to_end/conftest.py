import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.world import tiny_beir, tiny_model

STROP = [sys.executable, "-m", "strop.cli"]
CONFIG = {
    "name": "tiny",
    "seed": 3,
    "rounds": 2,
    "first_stage": {"depth": 20},
    "reranker": {"max_tokens": 32, "max_query_tokens": 12, "batch_tokens": 512},
    "mining": {"miner": "last_round", "pool_size": 8, "window_size": 12, "group_size": 4},
    "training": {"groups_per_step": 4, "learning_rate": 0.002},
    "evaluation": {"depth": 8, "depths": [4, 50], "bootstrap_samples": 500},
    "decision": {"min_gate_queries": 5},
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Project:
    """A folder with a tiny data set, tiny models and a config, and the `strop` command in it."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen] = field(default_factory=list)

    @property
    def store(self) -> Path:
        return self.folder / ".strop"

    def config(self, file="strop.yaml", /, **changes) -> str:
        values = {
            **CONFIG,
            "dataset": str(self.folder / "data"),
            "bi_encoder": {"model": str(self.folder / "encoder"), "max_tokens": 32},
        }
        values["reranker"] = {**CONFIG["reranker"], "base": str(self.folder / "encoder")}
        for key, value in changes.items():
            values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
        (self.folder / file).write_text(yaml.safe_dump(values), encoding="utf-8")
        return file

    def start(self, *arguments, **environment) -> subprocess.Popen:
        process = subprocess.Popen(
            [*STROP, *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def strop(self, *arguments, **environment) -> subprocess.CompletedProcess:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=200)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def json(self, *arguments):
        done = self.strop(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def manifests(self, store=None):
        paths = sorted((store or self.store).glob("objects/*/*/manifest.json"))
        return {path.parent.name: json.loads(path.read_text()) for path in paths}

    def made_until(self, last):
        """The manifests up to this artifact's, without what later commands added to the store."""
        made = self.manifests()
        end = made[last]["created"]
        return {number: item for number, item in made.items() if item["created"] <= end}

    def stop_at(self, line, number, *arguments, **environment) -> subprocess.CompletedProcess:
        """Run until a line of the output begins so, then send a signal."""
        process = self.start(*arguments, **environment)
        out = []
        for text in process.stdout:
            out.append(text)
            if text.startswith(line):
                process.send_signal(number)
                break
        rest, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(
            process.args, process.returncode, "".join(out) + rest, err
        )


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The environment in which commands share one managed Prefect server."""
    state = tmp_path_factory.mktemp("state")
    environment = {key: value for key, value in os.environ.items() if "PREFECT" not in key}
    environment |= {
        "STROP_STATE": str(state),
        "STROP_SERVER_PORT": str(free_port()),
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run([*STROP, "ui", "--url"], env=environment, check=True, capture_output=True)
    yield environment
    subprocess.run([*STROP, "ui", "--stop"], env=environment, check=True, capture_output=True)


@pytest.fixture(scope="session")
def materials(tmp_path_factory):
    folder = tmp_path_factory.mktemp("materials")
    tiny_model(folder / "encoder", seed=1)
    tiny_beir(folder / "data", seed=1)
    return folder


@pytest.fixture
def project(server, materials, tmp_path):
    for name in ("encoder", "data"):
        (tmp_path / name).symlink_to(materials / name)
    made = Project(tmp_path, server)
    yield made
    for process in made.started:  # a test that failed may have left one at work
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(scope="session")
def finished(server, materials, tmp_path_factory):
    """A project whose run is finished; tests only look at it."""
    folder = tmp_path_factory.mktemp("finished")
    for name in ("encoder", "data"):
        (folder / name).symlink_to(materials / name)
    project = Project(folder, server)
    done = project.strop("run", project.config())
    assert done.returncode == 0, done.stderr
    return project, done


KILL, INTERRUPT = signal.SIGKILL, signal.SIGINT
