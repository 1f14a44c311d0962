"""The fault benchmark: processes of a real run are killed at random moments, and it is run again.

    python -m benchmarks.random_kills --points 20

A tiny real run (one round, a real server, a real worker) is struck once at every point, by SIGKILL
at a random moment of its course, in turns

- *terminal*: the process of `strop run`,
- *flow run*: the process in which a worker carries out a flow run,
- *worker*: the worker itself, whose flow run then has nobody who watches it,
- *server*: the Prefect server of a running `strop run`, which is started again a little later.

Then the same command is run again. It must end with exit code 0 and the bits of a run that nothing
struck, make anew nothing that was in the store before, leave the store whole (as `verify --deep`
finds it), no flow run open and no slot taken.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from strop.artifacts.store import Store
from strop.artifacts.verify import readable, verify
from tests.end_to_end.conftest import CONFIG
from tests.world import tiny_beir, tiny_model

STROP = [sys.executable, "-m", "strop.cli"]
VICTIMS = ("terminal", "flow run", "worker", "server")
EPOCHS = 30
PATIENCE = 240.0
"""Seconds that a run may take on a busy machine."""
TIMED = ("report.html", "report.md")
"""Files that show the clock's readings."""


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
        """An answer of the server's API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.api}/{path}", data)
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@dataclass
class Counts:
    """What happened over all points."""

    tried: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def make_place(folder: Path) -> Place:
    """Data, a model and a config of a run of half a minute."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tiny_model(folder / "encoder", seed=1)
    tiny_beir(folder / "data", gate=20, seed=1)
    values = {
        **CONFIG,
        "name": "faults",
        "rounds": 1,
        "dataset": str(folder / "data"),
        "bi_encoder": {"model": str(folder / "encoder"), "max_tokens": 32},
        "reranker": {**CONFIG["reranker"], "base": str(folder / "encoder")},
        "training": {**CONFIG["training"], "epochs": EPOCHS},
        "execution": {"threads": 1},
    }
    (folder / "strop.yaml").write_text(yaml.safe_dump(values))
    inherited = {key: value for key, value in os.environ.items() if "PREFECT" not in key}
    own = {"STROP_STATE": str(folder / "state"), "STROP_SERVER_PORT": str(port)}
    return Place(folder, {**inherited, **own, "OMP_NUM_THREADS": "1"})


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


# The ways to strike.


def strike_terminal(place: Place, store: Path, moment: float) -> bool:
    """Kill `strop run`; says whether it was still at work."""
    process = place.start("run", "strop.yaml", "--store", store)
    return _kill_after(process, moment)


def _kill_after(process: subprocess.Popen[str], moment: float) -> bool:
    try:
        process.wait(moment)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True


def strike_server(place: Place, store: Path, moment: float) -> bool:
    """Kill the server under a run, start it again after seconds, and let the run end."""
    process = place.start("run", "strop.yaml", "--store", store)
    try:
        process.wait(moment)
        return False
    except subprocess.TimeoutExpired:
        record = json.loads((place.folder / "state" / "server.json").read_text())
        os.kill(record["pid"], signal.SIGKILL)
        time.sleep(3)
        code = subprocess.run(
            [*STROP, "ui", "--url"], env=place.environment, capture_output=True
        ).returncode
        assert code == 0, "the server does not start again"
        process.wait(PATIENCE)
        return True


def strike_flow_run(place: Place, store: Path, moment: float) -> bool:
    """Kill the process that a worker started for a flow run; the worker sees it and stays."""
    return _strike_worker(place, store, moment, kill_worker=False)


def strike_worker(place: Place, store: Path, moment: float) -> bool:
    """Kill a worker; its flow run goes on without it."""
    return _strike_worker(place, store, moment, kill_worker=True)


def _strike_worker(place: Place, store: Path, moment: float, *, kill_worker: bool) -> bool:
    process = place.start("deploy", "strop.yaml", "--store", store)
    flow_run = None
    try:
        worker = _wait_for(lambda: _worker_of(process), 60)
        found = place.ask("deployments/name/improve/improve")
        made = place.ask(f"deployments/{found['id']}/create_flow_run", {})
        flow_run = _wait_for(lambda: next(iter(_engines(worker)), None), 60)
        time.sleep(moment)
        at_work = flow_run.is_running()
        with contextlib.suppress(psutil.NoSuchProcess):
            (worker if kill_worker else flow_run).kill()
        if kill_worker:
            psutil.wait_procs([flow_run], timeout=PATIENCE)
        else:
            ended = lambda: place.ask(f"flow_runs/{made['id']}")["state_type"] == "CRASHED"  # noqa: E731
            _wait_for(ended if at_work else lambda: True, 60)
        return at_work
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _wait_for(look: Any, seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing after {seconds} s")
        time.sleep(0.2)
    return found


def _worker_of(process: subprocess.Popen[str]) -> psutil.Process | None:
    children = psutil.Process(process.pid).children()
    return next((child for child in children if "worker" in child.cmdline()), None)


def _engines(worker: psutil.Process) -> list[psutil.Process]:
    """The processes of flow runs, below whatever the worker put between."""
    found = []
    for child in worker.children(recursive=True):
        with_engine = [part for part in _command(child) if "engine" in part]
        if with_engine:
            found.append(child)
    return found[-1:]


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


STRIKES = {
    "terminal": strike_terminal,
    "flow run": strike_flow_run,
    "worker": strike_worker,
    "server": strike_server,
}


def point(
    place: Place, number: int, seed: int, clean: dict[str, dict[str, str]], pace: float
) -> Counts:
    """Strike once, run again, look."""
    counts, chosen = Counts(), random.Random(f"{seed} {number}")
    victim, store = VICTIMS[number % len(VICTIMS)], place.folder / f"store-{number}"
    counts.tried[victim] += 1
    moment = chosen.random() * pace
    counts.struck[victim] += STRIKES[victim](place, store, moment)
    before = manifests(store)
    code = place.strop("run", "strop.yaml", "--store", store)
    problems = [] if code == 0 else [f"exit code {code}: {place.said()[-300:]}"]
    after = manifests(store)
    if again := [path for path, text in before.items() if after.get(path) != text]:
        problems.append(f"{len(again)} finished artifacts were made anew")
    if bits(store) != clean:
        problems.append("the end is not that of a run that nothing struck")
    problems += _looked(place, store)
    title = f"{victim} at {moment:.1f} s, {len(before)} of {len(clean)} artifacts there"
    print(f"{number:>3} {title}: {'; '.join(problems) or 'survived'}", flush=True)
    counts.problems += [f"point {number} ({title}): {problem}" for problem in problems]
    shutil.rmtree(store, ignore_errors=True)
    return counts


def _looked(place: Place, store: Path) -> list[str]:
    problems = []
    opened = Store(store)
    there, broken = readable(opened)
    defects = [*broken, *(item for _, found in verify(opened, there, deep=True) for item in found)]
    problems += [f"not whole: {item.kind} {item.id}: {item.problem}" for item in defects]
    still = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}}
    if left := [run["name"] for run in place.ask("flow_runs/filter", still)]:
        problems.append(f"flow runs are open: {', '.join(left)}")
    if taken := place.ask("v2/concurrency_limits/gpu")["active_slots"]:
        problems.append(f"{taken} gpu slots are taken")
    return problems


def run(points: range, seed: int) -> Counts:
    """Strike at so many points."""
    total, folder = Counts(), Path(tempfile.mkdtemp(prefix="strop-faults-"))
    place = make_place(folder)
    try:
        assert place.strop("ui", "--url") == 0, place.said()
        started = time.monotonic()
        assert place.strop("run", "strop.yaml", "--store", folder / "clean") == 0, place.said()
        pace, clean = time.monotonic() - started, bits(folder / "clean")
        print(f"a run that nothing strikes: {pace:.1f} s, {len(clean)} artifacts", flush=True)
        for number in points:
            counts = point(place, number, seed, clean, pace)
            total.tried += counts.tried
            total.struck += counts.struck
            total.problems += counts.problems
    finally:
        place.strop("ui", "--stop")
        shutil.rmtree(folder, ignore_errors=True)
    return total


def main() -> None:
    """Run the benchmark from the command line; exit code 1 when a point showed a problem."""
    parser = argparse.ArgumentParser(description="Processes of a run are killed at random.")
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first point, to go on from")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    found = run(range(arguments.first, arguments.points), arguments.seed)
    for victim, tried in found.tried.items():
        print(f"{victim:<10} {tried:>3} tried, {found.struck[victim]:>3} struck while at work")
    print(f"problems: {len(found.problems) or 'none'}")
    for problem in found.problems:
        print(f"  {problem}")
    sys.exit(bool(found.problems))


if __name__ == "__main__":
    main()
