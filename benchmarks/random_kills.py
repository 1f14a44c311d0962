"""The fault benchmark: processes of a real run are killed at random moments, and it is run again.

    python -m benchmarks.random_kills --points 20

A tiny real run (one round, a real server, a real worker) is struck once at every point, by SIGKILL
at a random moment of its course, in turns

- *terminal*: the process of `strop run`,
- *flow run*: the process in which a worker carries out a flow run,
- *worker*: the worker itself, whose flow run then has nobody who watches it,
- *server*: the Prefect server of a running `strop run`, which is started again a little later,
- *machine*: server, worker and flow run at once, of which server and worker are started again.

Then the same command is run again. It must end with exit code 0 and the bits of a run that nothing
struck, make anew nothing that was in the store before, leave the store whole (as `verify --deep`
finds it), no flow run open and no slot taken.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fault_place import Place, bits, defects, make_place, manifests
from benchmarks.strikes import STRIKES

VICTIMS = tuple(STRIKES)


@dataclass
class Counts:
    """What happened over all points."""

    tried: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


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
    problems = defects(store)
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
