"""Where a benchmark of faults takes place: tiny real data, a server of its own, `strop` in it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import yaml

from strop.artifacts.store import Store
from strop.artifacts.verify import readable, verify
from tests.end_to_end.conftest import CONFIG
from tests.world import tiny_beir, tiny_model

STROP = [sys.executable, "-m", "strop.cli"]
SIZES = {"gate": 20}
SHORT = {"rounds": 1, "training": {"epochs": 30}}
ASKED = 15
PATIENCE = 240.0
"""Seconds that a run may take on a busy machine."""
TIMED = ("report.html", "report.md")
"""Files that show the clock's readings."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class Place:
    """A folder with data, models and a config, a store for each point, and a server of its own."""

    folder: Path
    environment: dict[str, str]

    @property
    def api(self) -> str:
        """The address of the server's API."""
        return f"http://127.0.0.1:{self.environment['STROP_SERVER_PORT']}/api"

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """A `strop` command that goes on beside us; its output goes to a file."""
        log = (self.folder / "log.txt").open("w")
        command = [*STROP, *map(str, arguments)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def strop(self, *arguments: str | Path) -> int:
        """The exit code of a `strop` command."""
        return self.start(*arguments).wait(PATIENCE)

    def said(self) -> str:
        """What the last command said."""
        return (self.folder / "log.txt").read_text()

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """An answer of the server's API; asks again while its database is busy (503)."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.api}/{path}", data)
        request.add_header("content-type", "application/json")
        for patience in range(ASKED - 1, -1, -1):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or not patience:
                    raise
                time.sleep(2)
        raise AssertionError


def make_place(
    folder: Path, *, sizes: Mapping[str, int] = SIZES, values: Mapping[str, Any] = SHORT
) -> Place:
    """Data of these sizes, a model and a config with these values; half a minute unless given."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tiny_model(folder / "encoder", seed=1)
    tiny_beir(folder / "data", **{**SIZES, **sizes}, seed=1)
    given = {
        "name": "faults",
        "dataset": str(folder / "data"),
        "bi_encoder": {"model": str(folder / "encoder"), "max_tokens": 32},
        "reranker": {"base": str(folder / "encoder")},
        "execution": {"threads": 1},
    }
    (folder / "strop.yaml").write_text(yaml.safe_dump(_merged(_merged(CONFIG, given), values)))
    inherited = {key: value for key, value in os.environ.items() if "PREFECT" not in key}
    own = {"STROP_STATE": str(folder / "state"), "STROP_SERVER_PORT": str(port)}
    return Place(folder, {**inherited, **own, "OMP_NUM_THREADS": "1"})


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both; of two sections, both's keys."""
    both = {**first, **second}
    for key in first.keys() & second.keys():
        if isinstance(first[key], Mapping):
            both[key] = {**first[key], **second[key]}
    return both


def bits(store: Path) -> dict[str, dict[str, str]]:
    """Every file's digest by artifact, but of those that show timings."""
    return {
        path.parent.name: {
            name: entry["sha256"]
            for name, entry in json.loads(path.read_text())["files"].items()
            if name not in TIMED
        }
        for path in store.glob("objects/*/*/manifest.json")
    }


def manifests(store: Path) -> dict[str, str]:
    """The manifests that are there, whole: a stage that was made anew would have another."""
    return {str(path): path.read_text() for path in store.glob("objects/*/*/manifest.json")}


def defects(store: Path) -> list[str]:
    """What `verify --deep` finds wrong with a store."""
    opened = Store(store)
    there, broken = readable(opened)
    found = [*broken, *(item for _, items in verify(opened, there, deep=True) for item in items)]
    return [f"not whole: {item.kind} {item.id}: {item.problem}" for item in found]


def wait_for(look: Callable[[], Found], seconds: float) -> Found:
    """The first answer that is true; raises `TimeoutError` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing after {seconds} s")
        time.sleep(0.2)
    return found
