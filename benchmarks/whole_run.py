"""The crash benchmark of a whole run: `strop run` dies at random times, and is gone on with.

    python -m benchmarks.whole_run --points 10

A tiny data set and tiny models make a run of two rounds. It is carried out once whole, and then as
often as asked again, each in a store of its own, with SIGKILL after a random share of its time;
then the same command resumes it. A stage *died* when the kill left an attempt that no manifest
speaks for. What the killed run had committed must be reused, the resumed run must make anew at most
the stage that died, every file but the report's pages (which show timings) must have the digest of
the unstruck run, and `strop artifacts verify --deep` must find nothing.
"""

import argparse
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.world import tiny_beir, tiny_model

STROP = [sys.executable, "-m", "strop.cli"]
PAGES = ("report.html", "report.md")
CONFIG = {
    "name": "tiny",
    "seed": 3,
    "rounds": 2,
    "dataset": "data",
    "bi_encoder": {"model": "encoder", "max_tokens": 32},
    "first_stage": {"depth": 20},
    "reranker": {
        "base": "encoder",
        "max_tokens": 32,
        "max_query_tokens": 12,
        "batch_tokens": 512,
    },
    "mining": {"miner": "last_round", "pool_size": 8, "window_size": 12, "group_size": 4},
    "training": {"groups_per_step": 4, "learning_rate": 0.002},
    "evaluation": {"depth": 8, "depths": [4, 50], "bootstrap_samples": 500},
    "decision": {"min_gate_queries": 5},
}
Bits = dict[str, dict[str, str]]
"""Every artifact's files by their digests."""


@dataclass(frozen=True)
class Project:
    """A folder with the data, the models and a config, and the `strop` command in it."""

    folder: Path
    environment: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command."""
        return subprocess.Popen(
            [*STROP, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *, kill_after: float | None = None) -> tuple[int, list[str]]:
        """`strop run`, killed after so many seconds or whole; its exit code and lines."""
        with self.start("run", "strop.yaml") as process:
            if kill_after is not None:
                time.sleep(kill_after)
                process.send_signal(signal.SIGKILL)
            out, _ = process.communicate(timeout=600)
        return process.returncode, out.splitlines()

    def whole(self) -> bool:
        """Whether a deep verification finds nothing."""
        with self.start("artifacts", "verify", "--deep") as process:
            process.communicate(timeout=300)
        return process.returncode == 0

    def bits(self) -> Bits:
        """What was committed."""
        found = {}
        for path in (self.folder / ".strop").glob("objects/*/*/manifest.json"):
            files = json.loads(path.read_bytes())["files"]
            kept = {name: entry["sha256"] for name, entry in files.items() if name not in PAGES}
            found[f"{path.parent.parent.name} {path.parent.name}"] = kept
        return found

    def died(self) -> list[str]:
        """The artifacts that a killed attempt was about to become."""
        attempts = [path for path in self.folder.glob(".strop/objects/*/*/*") if path.is_dir()]
        return [
            f"{path.parent.parent.name} {path.parent.name}"
            for path in attempts
            if not (path.parent / "manifest.json").exists()
        ]


def stages(lines: list[str], mark: str) -> list[str]:
    """The stages that a run said it made (``✓``) or reused (``=``)."""
    return [re.split(r"  +", line[2:])[0] for line in lines if line.startswith(f"{mark} ")]


@contextmanager
def server(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which all commands share a Prefect server of their own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if "PREFECT" not in key} | {
        "STROP_STATE": str(folder / "state"),
        "STROP_SERVER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("STROP_STORE", None)
    subprocess.run([*STROP, "ui", "--url"], env=environment, check=True, capture_output=True)
    try:
        yield environment
    finally:
        subprocess.run([*STROP, "ui", "--stop"], env=environment, check=True, capture_output=True)


def project(folder: Path, materials: Path, environment: dict[str, str]) -> Project:
    """A new folder with links to the data and models."""
    folder.mkdir()
    for name in ("data", "encoder"):
        (folder / name).symlink_to(materials / name)
    (folder / "strop.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    return Project(folder, environment)


def point(struck: Project, share: float, clean: Bits, seconds: float) -> tuple[list[str], int, int]:
    """Kill a run and resume it; the problems, how many stages were committed and how many died."""
    _, killed = struck.run(kill_after=share * seconds)
    before, died = struck.bits(), struck.died()
    code, resumed = struck.run()
    problems = [] if code == 0 else [f"the resumed run ended with {code}: {resumed[-3:]}"]
    twice = set(stages(killed, "✓")) & set(stages(resumed, "✓"))
    after = struck.bits()
    if twice:
        problems.append(f"committed stages were made anew: {sorted(twice)}")
    if len(died) > 1:
        problems.append(f"more than one stage died: {died}")
    if any(after.get(key) != files for key, files in before.items()):
        problems.append("what had been committed is lost or has other bits")
    if after != clean:
        problems.append("the end is not that of a run that nothing struck")
    if not struck.whole():
        problems.append("verify --deep finds something")
    return problems, len(before), len(died)


def main() -> None:
    """Run the benchmark from the command line; exit code 1 when a point showed a problem."""
    parser = argparse.ArgumentParser(description="A whole run that is killed at random times.")
    parser.add_argument("--points", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chosen, faults, anew = random.Random(arguments.seed), 0, Counter[int]()
    with tempfile.TemporaryDirectory(prefix="strop-whole-run-") as name:
        folder = Path(name)
        tiny_model(folder / "encoder", seed=1)
        tiny_beir(folder / "data", seed=1)
        with server(folder) as environment:
            unstruck = project(folder / "unstruck", folder, environment)
            started = time.perf_counter()
            code, lines = unstruck.run()
            seconds, clean = time.perf_counter() - started, unstruck.bits()
            assert code == 0, lines
            print(f"unstruck: {len(clean)} artifacts in {seconds:.0f} s", flush=True)
            for number in range(arguments.points):
                struck = project(folder / f"struck-{number}", folder, environment)
                share = (number + chosen.random()) / arguments.points
                problems, committed, died = point(struck, share, clean, seconds)
                anew[died] += 1
                faults += bool(problems)
                told = "; ".join(problems) or "ended as the unstruck run"
                print(
                    f"killed after {share * seconds:5.1f} s: {committed:>2} of {len(clean)} "
                    f"committed, {died} died; {told}",
                    flush=True,
                )
    for count, times in sorted(anew.items()):
        print(f"stages that died and were made anew: {count}, at {times} points")
    print(f"problems: {faults or 'none'}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
