"""Where the crash benchmark's stores are, and what strikes a writer there: see `crashes.py`."""

import errno
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3 import BUCKET, Plan, Servers, running

CALLS = {"open", "os.mkdir", "os.link", "os.rename", "os.remove", "os.rmdir", "strop.fsync"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FAULTS = ("kill", "kill at a call", "ENOSPC", "EIO", "short write")
S3_FAULTS = ("kill", "kill before", "kill after", "lost answer", "late request", "storm")
Say = Callable[[Any], None]
Task = Callable[[str, Say], None]
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

    def counted(self, work: Task) -> Task:
        """The work, which then says how many calls it made."""

        def counting(root: str, say: Say) -> None:
            seen = [0]
            _audit(lambda count, call: seen.__setitem__(0, count + 1))
            work(root, say)
            say(["calls", seen[0]])

        return counting


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

    def counted(self, work: Task) -> Task:
        """The work, which then says how many requests it made."""

        def counting(root: str, say: Say) -> None:
            self.servers.plan(Plan())
            work(root, say)
            say(["calls", self.servers.plan()["seen"]])

        return counting


Kind = Folders | Buckets


@contextmanager
def stores(name: str) -> Iterator[Kind]:
    """Where the stores are to be."""
    if name == "folder":
        yield Folders()
        return
    with running() as servers:
        yield Buckets(servers)
