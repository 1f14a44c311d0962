"""The crash benchmark: a writer dies at random points, and the store is looked at and gone on with.

    python benchmarks/crashes.py --points 100
    python benchmarks/crashes.py --points 60 --store s3

A writer makes a chain of artifacts, records each in a run and moves a champion. At every point it
is struck once:

- *kill*: SIGKILL after a random time;
- *kill at a call*: SIGKILL just before its n-th call that opens, links, renames, syncs or removes;
- *ENOSPC*, *EIO*: from its n-th such call on writing fails so, or it fails once;
- *short write*: no file may grow beyond a random size, so that a write ends in the middle.

In a bucket (of moto's server, behind a proxy that fails: `s3.py`) the faults are these:

- *kill*: SIGKILL after a random time;
- *kill before*, *kill after*: SIGKILL before its n-th request is carried out, or after it was,
  when the answer never comes;
- *lost answer*: the n-th write is carried out and its connection closed without an answer;
- *late request*: the connection is closed, and the n-th write is carried out 0.3 s later;
- *storm*: a quarter of all requests fail in one of seven ways: lost, late and slow answers, lost
  requests, 500 and 503 without effect, and 500 after the effect.

Then `verify --deep` must find nothing wrong, what was committed must be there with the same bits,
the same work again must make anew at most the stage that died, it must end with the bits of a run
that nothing struck, and a garbage collection must leave all of that as it is.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from faults import Kind, Say, Task, stores

from strop.artifacts import refs
from strop.artifacts.manifest import Recipe
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.artifacts.upkeep.collect import collect
from strop.artifacts.upkeep.plan import Policy
from strop.artifacts.verify import readable, verify

STAGES, ROWS = 5, 3000


def work(root: str, say: Say) -> None:
    """Make all stages that are not there yet, one from the other; says what it does."""
    store = Store(root)
    run, before = Run(store, "crash"), None
    run.claim({"stages": STAGES})
    with run.lease() as lease:
        for number in range(STAGES):
            recipe = Recipe(
                "scores", "score", 1, {"n": number}, {"before": before.ref} if before else {}
            )
            found = store.lookup(recipe)
            if found is None:
                say(["compute", number])
                with store.attempt(recipe) as attempt:
                    attempt.write_table("scores", _table(number))
                    (attempt.folder / "notes.txt").write_text("n" * 5000)
                    found = store.commit(attempt, summary={"n": number})
            say(["made", number, found.digest])
            run.record(lease, f"round-{number:03d}", {"scores": found.ref})
            seen = refs.read(store, "champion")
            if seen.generation <= number:
                refs.move(store, seen, {"n": number, "scores": vars(found.ref)})
            say(["recorded", number])
            before = found


def _table(number: int) -> pa.Table:
    """Rows that do not compress away, so that writing them takes several writes."""
    drawn = random.Random(number)
    ids = [f"{drawn.getrandbits(64):x}" for _ in range(ROWS)]
    scores = [drawn.random() for _ in range(ROWS)]
    return pa.table({"query_id": ids, "passage_id": ids[::-1], "score": scores})


def look(root: str, say: Say) -> None:
    """Say what is wrong, and what is there."""
    store = Store(root)
    manifests, broken = readable(store)
    found = [item for _, defects in verify(store, manifests, deep=True) for item in defects]
    say(["defects", [f"{item.kind} {item.id}: {item.problem}" for item in [*broken, *found]]])
    say(["there", {str(item.summary["n"]): item.digest for item in manifests}])
    parts = Run(store, "crash").parts()
    say(["parts", {part: made["scores"].digest for part, made in parts.items()}])
    say(["moves", [(move.value or {})["n"] for move in refs.history(store, "champion")]])


def sweep(root: str, say: Say) -> None:
    """Collect everything that nobody speaks of, at once."""
    plan = collect(Store(root), Policy(keep_days=0, grace_seconds=0))
    say(["leftovers", len(plan.leftovers)])


def in_child(
    task: Task,
    root: str,
    *,
    prepare: Callable[[], None] = lambda: None,
    kill_after: float | None = None,
) -> tuple[list[Any], bool]:
    """Carry a task out in a forked process; returns what it said, and whether it ended well."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(task, root, write, prepare)
    os.close(write)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(read, "rb") as pipe:
        lines = pipe.read().splitlines()
    _, status = os.waitpid(pid, 0)
    return [json.loads(line) for line in lines], status == 0


def _child(task: Task, root: str, write: int, prepare: Callable[[], None]) -> None:
    code = 3
    try:
        prepare()

        def say(what: Any) -> None:
            os.write(write, json.dumps(what).encode() + b"\n")

        task(root, say)
        code = 0
    except OSError:
        code = 4  # the fault, passed on as it should be
    finally:
        os._exit(code)


@dataclass
class Counts:
    """What happened over all points."""

    tried: Counter[str] = field(default_factory=Counter)
    died: Counter[str] = field(default_factory=Counter)
    recomputed: Counter[int] = field(default_factory=Counter)
    leftovers: int = 0
    problems: list[str] = field(default_factory=list)


def point(
    kind: Kind, number: int, seed: int, clean: dict[str, str], pace: tuple[int, float]
) -> Counts:
    """Strike once, look, go on, look again."""
    calls, seconds = pace
    chosen, counts = random.Random(f"{seed} {number}"), Counts()
    fault = kind.faults[number % len(kind.faults)]
    counts.tried[fault] += 1
    with kind.place() as root:
        kill_after = chosen.random() * seconds if fault == "kill" else None
        prepare = kind.strike(fault, chosen, calls)
        said, well = in_child(work, root, prepare=prepare, kill_after=kill_after)
        counts.died[fault] += not well
        kind.calm()
        told = [f"point {number} ({fault})", *_look_and_go_on(root, said, clean, counts)]
        counts.problems += [f"{told[0]}: {problem}" for problem in told[1:]]
    return counts


def _look_and_go_on(root: str, said: list[Any], clean: dict[str, str], counts: Counts) -> list[str]:
    made = {str(what[1]): what[2] for what in said if what[0] == "made"}
    begun = {what[1] for what in said if what[0] == "compute"}
    problems = _looked(root, made)
    again, well = in_child(work, root)
    if not well:
        return [*problems, "the same work again failed"]
    computed = {what[1] for what in again if what[0] == "compute"}
    twice = computed & begun
    counts.recomputed[len(twice)] += 1
    if len(twice) > 1 or any(str(number) in made for number in twice):
        problems.append(f"stages {sorted(twice)} were made anew")
    problems += _looked(root, clean, whole=True)
    swept, well = in_child(sweep, root)
    counts.leftovers += swept[0][1] if well else 0
    return problems + ([] if well else ["gc failed"]) + _looked(root, clean, whole=True)


def _looked(root: str, expected: dict[str, str], *, whole: bool = False) -> list[str]:
    said, well = in_child(look, root)
    if not well:
        return ["the store cannot be looked at"]
    told = dict(said)
    problems = list(told["defects"])
    lost = {number for number, digest in expected.items() if told["there"].get(number) != digest}
    if lost:
        problems.append(f"stages {sorted(lost)} are lost or have other bits")
    if whole and (told["there"] != expected or told["moves"] != list(range(STAGES))):
        problems.append("the end is not that of a run that nothing struck")
    if any(digest not in told["there"].values() for digest in told["parts"].values()):
        problems.append("the run speaks of what is not there")
    return problems


def clean_run(kind: Kind) -> tuple[dict[str, str], tuple[int, float]]:
    """The digests of a run that nothing strikes, how many calls it makes and how long it takes."""
    with kind.place() as root:
        started = time.perf_counter()
        said, well = in_child(kind.counted(work), root)
        seconds = time.perf_counter() - started
    assert well
    digests = {str(what[1]): what[2] for what in said if what[0] == "made"}
    return digests, (said[-1][1], seconds)


def run(kind: Kind, points: int, seed: int) -> Counts:
    """Strike at so many points."""
    clean, pace = clean_run(kind)
    total = Counts()
    for number in range(points):
        counts = point(kind, number, seed, clean, pace)
        total.tried += counts.tried
        total.died += counts.died
        total.recomputed += counts.recomputed
        total.leftovers += counts.leftovers
        total.problems += counts.problems
    return total


def main() -> None:
    """Run the benchmark from the command line; exit code 1 when a point showed a problem."""
    parser = argparse.ArgumentParser(description="A writer that dies at random points.")
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=("folder", "s3"), default="folder")
    arguments = parser.parse_args()
    with stores(arguments.store) as kind:
        found = run(kind, arguments.points, arguments.seed)
    for fault, tried in found.tried.items():
        print(f"{fault:<15} {tried:>4} tried, {found.died[fault]:>4} ended the writer")
    for number, times in sorted(found.recomputed.items()):
        print(f"begun stages that were made anew: {number}, at {times} points")
    print(f"leftovers that gc took: {found.leftovers}")
    print(f"problems: {len(found.problems) or 'none'}")
    for problem in found.problems:
        print(f"  {problem}")
    sys.exit(bool(found.problems))


if __name__ == "__main__":
    main()
