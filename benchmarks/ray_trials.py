"""A Ray cluster of this host against one process, and what its killed workers and driver cost.

    python -m benchmarks.ray_trials --out build/ray [--passages 20000 --queries 2000]

Every side takes the same synthetic corpus through all stages up to the negatives of round 1, in a
store and a process of its own, one thread a worker: ``local``, ``one`` and ``two`` workers,
``killed`` (two workers, of which one that has a shard is killed every few seconds) and ``struck``
(two workers; the driver is killed with kill -9 in the middle of a stage, and started again). Told
are seconds, memory and shards of every stage, whether all artifacts are the same bytes, how soon a
killed driver's Ray processes are gone, and how many planted false negatives the guard caught, which
is set to catch nine of ten positives. What was measured is kept in ``--out``, where a stopped
benchmark goes on. The large trial, of a million passages:

    python -m benchmarks.ray_trials --out build/ray-1m --sides killed \\
        --passages 1000000 --queries 100000 --kill-seconds 60
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.ray_world import make_world
from benchmarks.synthetic import World

SIDES = {"local": 0, "one": 1, "two": 2, "killed": 2, "struck": 2}
CUT = ("encode", "retrieve", "tokenize", "rerank dev", "score")
STRUCK_SHARDS = 3
GONE_SECONDS = 120.0


def start(given: argparse.Namespace, side: str) -> subprocess.Popen[bytes]:
    """A side at work."""
    shard = max(256, min(4096, given.passages // 40))
    kill_seconds = given.kill_seconds if side == "killed" else 0
    command = [sys.executable, "-m", "benchmarks.ray_side", given.out, side, SIDES[side]]
    with (given.out / f"{side}.log").open("ab") as log:
        return subprocess.Popen(
            [*map(str, command), str(kill_seconds), str(shard)],
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def measure(given: argparse.Namespace, side: str) -> None:
    """Carry a side out, or what is left of it."""
    results = given.out / f"{side}.json"
    if results.exists() and "planted" in json.loads(results.read_text()):
        return
    print(f"{side} …", flush=True)
    if side == "struck" and not (given.out / "strike.json").exists():
        (given.out / "strike.json").write_text(json.dumps(strike(given)))
    if start(given, side).wait():
        raise SystemExit(f"{side} failed; see {given.out / f'{side}.log'}")


def strike(given: argparse.Namespace) -> dict[str, Any]:
    """Kill a driver when the first shards of its first stage are there; what is left of it."""
    driver = start(given, "struck")
    shards = given.out / "store-struck" / "objects" / "shard"
    while len(list(shards.glob("*/manifest.json"))) < STRUCK_SHARDS:
        if driver.poll() is not None:
            raise SystemExit(f"struck ended too early; see {given.out / 'struck.log'}")
        time.sleep(0.05)
    children = psutil.Process(driver.pid).children(recursive=True)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    started = time.monotonic()
    seconds: dict[str, float] = {}
    while children and time.monotonic() - started < GONE_SECONDS:
        left = [child for child in children if _alive(child)]
        if not any(_works(child) for child in left):
            seconds.setdefault("workers_gone_seconds", time.monotonic() - started)
        children = left
        time.sleep(0.05)
    seconds["all_gone_seconds"] = time.monotonic() - started
    done = len(list(shards.glob("*/manifest.json")))
    return {**seconds, "left": [_name(child) for child in children], "shards_done": done}


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _works(process: psutil.Process) -> bool:
    return "Agent" not in _name(process)


def _name(process: psutil.Process) -> str:
    with suppress(psutil.Error, IndexError):
        return Path(process.cmdline()[0]).name
    return ""


def page(given: argparse.Namespace) -> str:
    """What was measured, as tables."""
    found = {
        side: json.loads((given.out / f"{side}.json").read_text())
        for side in SIDES
        if (given.out / f"{side}.json").exists()
    }
    title = f"{given.passages:,} passages, {given.queries:,} queries, width {given.width}"
    lines = [f"## {title}", "", *_stages(found), "", *_facts(given, found)]
    return "\n".join(lines) + "\n"


def _stages(found: dict[str, Any]) -> list[str]:
    lines = []
    for side, stages in found.items():
        lines += ["", f"### {side}", ""]
        lines += ["| stage | s | driver, MB | workers, MB | shards | repeated | kills |"]
        lines += ["|---|---:|---:|---:|---:|---:|---:|"]
        for name, stage in stages.items():
            if name in ("planted", "start"):
                continue
            shards = stage["shards"] or {}
            count = shards.get("made", 0) + shards.get("found", 0)
            lines.append(
                f"| {name} | {stage['seconds']:.1f} | {stage['peak_mb']:,.0f} "
                f"| {stage['workers_peak_mb']:,.0f} | {count or ''} "
                f"| {shards.get('repeated', '')} | {stage['kills']} |"
            )
    return lines


def _facts(given: argparse.Namespace, found: dict[str, Any]) -> list[str]:
    lines = []
    first = next(iter(found))
    for side, stages in found.items():
        same = [
            name
            for name, stage in stages.items()
            if "digest" in stage and found[first][name]["digest"] != stage["digest"]
        ]
        cut = sum(stages[name]["seconds"] for name in CUT)
        told = f"other bytes than {first} in {', '.join(same)}" if same else "the same bytes"
        started = stages["start"]["seconds"]
        lines.append(f"- {side}: {told}; cut stages {cut:.1f} s, start {started:.1f} s")
        lines.append(f"  planted false negatives: {_planted(stages['planted'])}")
    if (given.out / "strike.json").exists():
        struck = json.loads((given.out / "strike.json").read_text())
        lines.append(f"- struck driver: {json.dumps(struck)}")
        lines.append(f"  encode afterwards: {json.dumps(found['struck']['encode']['shards'])}")
    return lines


def _planted(counts: dict[str, Any]) -> str:
    share = counts["caught"] / max(counts["in_pool"], 1)
    refused = (counts["suspects"] - counts["caught"]) / max(
        counts["candidates"] - counts["in_pool"], 1
    )
    return (
        f"{counts['planted']:,}, in a pool {counts['in_pool']:,}, caught {counts['caught']:,} "
        f"({share:.1%}), taken as negatives {counts['taken']:,}; other candidates suspected "
        f"{refused:.1%}; mined by {counts['mined_by']}"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the sides, and print the page."""
    parser = argparse.ArgumentParser(description="Ray against one process.")
    parser.add_argument("--out", type=Path, default=Path("build/ray"))
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--width", type=int, default=128, help="dimensions of a vector")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=[*SIDES])
    parser.add_argument("--kill-seconds", type=float, default=5.0, help="between kills, at least")
    given = parser.parse_args(arguments)
    given.out = given.out.absolute()
    os.environ["OMP_NUM_THREADS"] = "1"
    make_world(given.out, World(given.passages, given.queries, relevant=2), given.width)
    own = {"STROP_STATE": str(given.out / "state"), "STROP_SERVER_PORT": str(_free_port())}
    state = {**os.environ, **own}
    strop = [sys.executable, "-m", "strop.cli", "ui"]
    if "PREFECT_API_URL" not in os.environ:
        done = subprocess.run(
            [*strop, "--url"], env=state, check=True, stdout=subprocess.PIPE, text=True
        )
        os.environ["PREFECT_API_URL"] = f"{done.stdout.strip()}/api"
    try:
        for side in given.sides:
            measure(given, side)
    finally:
        subprocess.run([*strop, "--stop"], env=state, check=False, stdout=subprocess.DEVNULL)
    text = page(given)
    (given.out / "page.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
