"""One holder at a time: a lease with a heartbeat, an expiry and a fencing generation."""

import functools
import json
import os
import re
import secrets
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from strop.artifacts import durable
from strop.artifacts.backends.location import StorePath
from strop.artifacts.errors import Busy, Conflict, StoreError
from strop.artifacts.processes import lives, start_of

EXPIRY_SECONDS = 60.0
HEARTBEAT_SECONDS = 10.0
GENERATION = re.compile(r"(\d{8})\.json")


@dataclass(frozen=True)
class Holder:
    """Who took a generation of a lease."""

    host: str
    pid: int
    started: float
    token: str

    def alive(self, silent: float) -> bool:
        """Whether the holder may still write, its last heartbeat being so many seconds ago."""
        return silent < EXPIRY_SECONDS and (self.lives() or not self.here)

    @property
    def here(self) -> bool:
        """Whether it is a process of this host, whom one can ask; old records have but a name."""
        return self.host in (socket.gethostname(), _machine())

    @property
    def name(self) -> str:
        """The name of its host, as people know it."""
        return self.host.partition(" ")[0]

    def lives(self) -> bool:
        """Whether the holder is a process of this host, since its last start, that is there."""
        return self.here and lives(self.pid, self.started)


def this_process() -> Holder:
    """This process as a holder, with a token of its own."""
    started = start_of(os.getpid()) or 0.0
    return Holder(_machine(), os.getpid(), started, secrets.token_hex(8))


@functools.cache
def _machine() -> str:
    """This host among all that share a store, where names need not be unique, nor process ids.

    Its name, what tells its start from every other's, and the namespace of its process ids:
    containers of one host may have one name, and do not see each other's processes.
    """
    found = [socket.gethostname()]
    try:
        found.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
    except OSError:
        found.append(f"{uuid.getnode():012x}")
    with suppress(OSError):
        found.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return " ".join(found)


def _generations(folder: StorePath) -> list[int]:
    try:
        matches = [GENERATION.fullmatch(path.name) for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(int(match[1]) for match in matches if match)


class Lease:
    """Held while entered; every write that it guards calls `check` first.

    A holder that was stopped past its expiry finds a newer generation when it goes on, and its
    writes are refused (fencing tokens, as in Kleppmann, "How to do distributed locking", 2016).
    """

    def __init__(self, folder: StorePath, *, what: str) -> None:
        """Name the folder that keeps the generations, and what the lease is for."""
        self._folder = folder
        self._what = what
        self._generation = 0
        self._stop = threading.Event()
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        """Take the next generation; raises `Busy` when a live holder has the last one."""
        generations = _generations(self._folder)
        last = generations[-1] if generations else 0
        if last and not self._released(last):
            self._refuse_if_alive(last)
        holder = this_process()
        self._generation = last + 1
        try:
            durable.create(self._path(self._generation), json.dumps(vars(holder)).encode())
        except Conflict as error:
            raise self._just_taken() from error
        self._forget(generations[:-1])
        self._stop.clear()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the heartbeat and give the lease back."""
        self._stop.set()
        self._thread.join()
        if _generations(self._folder)[-1:] == [self._generation]:
            self._release_path(self._generation).touch()

    def check(self) -> None:
        """Raise `Conflict` when it was given back, or a newer holder has taken over."""
        if self._stop.is_set():
            raise Conflict(f"{self._what}: its lease was given back; take it again")
        if _generations(self._folder)[-1:] != [self._generation]:
            raise Conflict(f"{self._what}: another process has taken over; this one stops")

    @contextmanager
    def guard(self) -> Iterator[None]:
        """One write under the lease: checked, and this process's threads take turns."""
        with self._turn:
            self.check()
            yield

    def _path(self, generation: int) -> StorePath:
        return self._folder / f"{generation:08d}.json"

    def _release_path(self, generation: int) -> StorePath:
        return self._folder / f"{generation:08d}.released"

    def _released(self, generation: int) -> bool:
        return self._release_path(generation).exists()

    def _refuse_if_alive(self, generation: int) -> None:
        path = self._path(generation)
        try:
            holder = Holder(**json.loads(path.read_bytes()))
            silent = durable.now(path) - path.stat().st_mtime
        except FileNotFoundError as error:
            raise self._just_taken() from error
        if holder.alive(silent):
            gone = f"; if it is gone, wait {EXPIRY_SECONDS:.0f} s" if not holder.here else ""
            raise Busy(
                f"{self._what}: process {holder.pid} on {holder.name} is working on it; "
                f"wait for it, or stop it{gone}"
            )

    def _just_taken(self) -> Busy:
        return Busy(f"{self._what}: another process has just taken it; try again")

    def _forget(self, generations: list[int]) -> None:
        for generation in generations:
            self._path(generation).unlink(missing_ok=True)
            self._release_path(generation).unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            try:
                durable.renew(self._path(self._generation))
            except FileNotFoundError:
                return
            except (OSError, StoreError):  # a fault may pass: the next beat may get through
                continue
