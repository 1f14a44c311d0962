"""`strop plan` against the run that it planned: time and memory of every kind of stage.

    python -m benchmarks.predictions CONFIG --out build/predictions
    python -m benchmarks.predictions --passages 1000000 --queries 100000 --workers 2 --out build/1m

The plan is made first, then the run, in a store that the benchmark makes. Without workers CPU
seconds are held against the plan, which says what an idle machine takes; with workers it is the
seconds that pass, so that nothing else should be at work. Without CONFIG the corpus and the models
are those of `ray_trials`, trained for 20,000 pairs.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.ray_side import config_of
from benchmarks.ray_world import make_world
from benchmarks.synthetic import World

STROP = [sys.executable, "-m", "strop.cli"]
LOOK_SECONDS = 0.25
TRAINED_PAIRS, SHARD, WIDTH = 20_000, 4096, 128
LOADING = "load and initialise"
KINDS = {"initialise": LOADING, "import model": LOADING}
"""Stages of a run that a plan names otherwise; those that it has no name for are its tables."""
TABLES = "tables and reports"


def synthetic(given: argparse.Namespace) -> Path:
    """The config of a corpus of any size, with what it names beside it."""
    folder = given.out / "world"
    make_world(folder, World(given.passages, given.queries, relevant=2), WIDTH)
    values = config_of(folder, SHARD).model_dump(mode="json", exclude_unset=True)
    values |= {"name": "synthetic", "training": {"pairs_per_round": TRAINED_PAIRS}}
    if given.workers:
        values["execution"] = {"runner": "ray", "workers": given.workers, "threads": 1}
    path: Path = given.out / "strop.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def plan(config: Path, out: Path) -> Any:
    """What `strop plan` says, measured now."""
    command = [*STROP, "plan", str(config), "--again", "--json", "--store", str(out / "store")]
    return json.loads(subprocess.check_output(command, text=True))


def run(config: Path, out: Path) -> tuple[list[Any], float, float]:
    """The breakdown of a run, and the peak memory of its process and of a worker, in bytes."""
    command = [*STROP, "run", str(config), "--store", str(out / "store")]
    process = subprocess.Popen([*command, "--profile", str(out / "profile")])
    peaks = [0.0, 0.0]
    while process.poll() is None:
        for peak, size in enumerate(_sizes(process.pid)):
            peaks[peak] = max(peaks[peak], size)
        time.sleep(LOOK_SECONDS)
    if process.returncode:
        raise SystemExit("the run failed")
    breakdown = json.loads((out / "profile" / "breakdown.json").read_text())
    return breakdown, peaks[0], peaks[1]


def _sizes(pid: int) -> tuple[float, float]:
    """Resident bytes of the run's process, and of the largest of Ray's workers under it."""
    try:
        me = psutil.Process(pid)
        workers = [child for child in me.children(recursive=True) if _is_worker(child)]
        sizes = [child.memory_info().rss for child in workers]
        return me.memory_info().rss, max(sizes, default=0)
    except psutil.Error:
        return 0, 0


def _is_worker(process: psutil.Process) -> bool:
    command = process.cmdline()
    return bool(command) and command[0].startswith("ray::")


def seconds_by_kind(planned: Any, breakdown: list[Any], clock: str) -> dict[str, list[float]]:
    """Seconds said and seconds taken of every kind of stage, the longest first."""
    said, took = Counter[str](), Counter[str]()
    for stage in planned["stages"]:
        said[stage["stage"]] += stage["seconds"]
    for stage in breakdown:
        kind = stage["stage"].split(" · ")[0]
        kind = KINDS.get(kind, kind)
        kind = "import" if kind.startswith("import") else kind
        took[kind if kind in said else TABLES] += stage[clock]
    return {kind: [said[kind], took[kind]] for kind, _ in said.most_common()}


def page(planned: Any, found: tuple[list[Any], float, float], clock: str) -> str:
    """The table."""
    breakdown, peak, worker_peak = found
    rows = seconds_by_kind(planned, breakdown, clock)
    rows["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    title = "CPU seconds" if clock == "cpu_seconds" else "seconds"
    lines = [
        f"| stage | planned, s | {title} of the run | planned / taken |",
        "|---|---:|---:|---:|",
    ]
    for kind, (said, took) in rows.items():
        ratio = f"{said / took:.2f}" if took else "–"
        lines.append(f"| {kind} | {said:,.1f} | {took:,.1f} | {ratio} |")
    memory = {"memory": peak} | ({"worker_memory": worker_peak} if worker_peak else {})
    for name, size in memory.items():
        title = "the run's process" if name == "memory" else "a worker"
        ratio = f"{planned[name] / size:.2f}"
        lines.append(
            f"| peak of {title}, MB | {planned[name] / 1e6:,.0f} | {size / 1e6:,.0f} | {ratio} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Plan, run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("config", type=Path, nargs="?", help="of your own; else a synthetic corpus")
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=0, help="of a Ray cluster; 0 for none")
    parser.add_argument("--out", type=Path, required=True, help="where all that is made goes")
    given = parser.parse_args()
    given.out = given.out.absolute()
    given.out.mkdir(parents=True, exist_ok=True)
    if (given.out / "store").exists():
        parser.error(f"--out {given.out}: has a store, in which stages would be found")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    config = given.config or synthetic(given)
    planned = plan(config, given.out)
    spread = planned["workers"] > 0
    text = page(planned, run(config, given.out), "seconds" if spread else "cpu_seconds")
    (given.out / "page.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
