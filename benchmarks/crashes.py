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
import errno
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from s3 import BUCKET, Plan, Servers, running

from strop.artifacts import refs
from strop.artifacts.manifest import Recipe
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.artifacts.upkeep.collect import collect
from strop.artifacts.upkeep.plan import Policy
from strop.artifacts.verify import readable, verify

STAGES, ROWS = 5, 3000
CALLS = {"open", "os.mkdir", "os.link", "os.rename", "os.remove", "os.rmdir", "strop.fsync"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FAULTS = ("kill", "kill at a call", "ENOSPC", "EIO", "short write")
S3_FAULTS = ("kill", "kill before", "kill after", "lost answer", "late request", "storm")
Say = Callable[[Any], None]


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


Strike = Callable[[], None]


def strike(fault: str, chosen: random.Random, calls: int) -> Strike:
    """What a writer does to itself before it begins; the number of calls is that of a whole run."""
    at, once = chosen.randrange(calls), chosen.random() < 0.5
    limit = chosen.randrange(1, 90_000)

    def prepare() -> None:
        if fault == "short write":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        elif fault != "kill":
            _audit(lambda count, call: _fail(fault, call) if _due(count, at, once) else None)

    return prepare


def _due(count: int, at: int, once: bool) -> bool:
    return count == at or (count > at and not once)


def _fail(fault: str, call: tuple[str, tuple[Any, ...]]) -> None:
    event, arguments = call
    if fault == "kill at a call":
        os.kill(os.getpid(), signal.SIGKILL)
    number = errno.EIO if fault == "EIO" else errno.ENOSPC
    reads = event == "open" and not (int(arguments[2] or 0) & WRITING)
    if number == errno.ENOSPC and (reads or event in ("os.remove", "os.rmdir")):
        return  # a full disk can be read, and freed
    raise OSError(number, os.strerror(number))


def _audit(act: Callable[[int, tuple[str, tuple[Any, ...]]], None]) -> None:
    """Call ``act`` with the number of every call that touches a file; syncs are made visible."""
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in CALLS:
            count += 1
            act(count - 1, (event, arguments))

    def fsync(handle: int, sync: Callable[[int], None] = os.fsync) -> None:
        sys.audit("strop.fsync", handle)
        sync(handle)

    os.fsync = fsync  # type: ignore[assignment]
    sys.addaudithook(hook)


def in_child(
    task: Callable[[str, Say], None],
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


def _child(
    task: Callable[[str, Say], None], root: str, write: int, prepare: Callable[[], None]
) -> None:
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


@dataclass(frozen=True)
class Folders:
    """Stores in folders of their own; what is struck is what a writer does with files."""

    faults = FAULTS

    @contextmanager
    def place(self) -> Iterator[str]:
        """Where a store is about to be."""
        folder = tempfile.mkdtemp(prefix="strop-crash-")
        try:
            yield f"{folder}/store"
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def strike(self, fault: str, chosen: random.Random, calls: int) -> Strike:
        """What a writer does to itself before it begins."""
        return strike(fault, chosen, calls)

    def calm(self) -> None:
        """Nothing fails any more."""

    def counted(self, root: str, say: Say) -> None:
        """The work, and how many calls it makes."""
        seen = [0]
        _audit(lambda count, call: seen.__setitem__(0, count + 1))
        work(root, say)
        say(["calls", seen[0]])


@dataclass(frozen=True)
class Buckets:
    """Stores in a bucket; what is struck is what comes to the server, or comes back from it."""

    servers: Servers
    faults = S3_FAULTS

    @contextmanager
    def place(self) -> Iterator[str]:
        """Where a store is about to be; this host's copies are in a folder of their own."""
        cache = tempfile.mkdtemp(prefix="strop-crash-")
        os.environ.update(self.servers.environment(proxied=True), STROP_CACHE=cache)
        try:
            yield f"s3://{BUCKET}/{Path(cache).name}"
        finally:
            shutil.rmtree(cache, ignore_errors=True)

    def strike(self, fault: str, chosen: random.Random, calls: int) -> Strike:
        """What a writer tells the proxy before it begins."""
        at, seed = chosen.randrange(calls), chosen.randrange(1 << 30)

        def prepare() -> None:
            if fault == "storm":
                self.servers.plan(Plan(rate=0.25, seed=seed, seconds=0.1))
            elif fault != "kill":
                kills = fault.startswith("kill")
                methods = Plan.methods if kills else ("PUT",)
                number = at if kills else at // 3
                plan = Plan(fault=fault, at=number, victim=os.getpid(), methods=methods)
                self.servers.plan(plan)

        return prepare

    def calm(self) -> None:
        """Nothing fails any more, and what was late has come."""
        self.servers.plan(Plan())
        os.environ.update(self.servers.environment())
        time.sleep(0.4)

    def counted(self, root: str, say: Say) -> None:
        """The work, and how many requests it makes."""
        self.servers.plan(Plan())
        work(root, say)
        say(["calls", self.servers.plan()["seen"]])


Kind = Folders | Buckets


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
        said, well = in_child(kind.counted, root)
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


@contextmanager
def stores(name: str) -> Iterator[Kind]:
    """Where the stores are to be."""
    if name == "folder":
        yield Folders()
        return
    with running() as servers:
        yield Buckets(servers)


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
