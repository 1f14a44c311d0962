"""torchrun as a child of this process: started, listened to, and never left behind.

The child has a session of its own, so that Ctrl-C in a terminal reaches us alone; we end it
whenever we stop listening. Where we are killed, it and its processes see that their parent is
gone, and end themselves. `python -m strop.pipeline.training.torchrun` is the child: torchrun's own
command line, watched.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strop.pipeline.errors import InputError, WorkLost
from strop.pipeline.progress import Progress
from strop.pipeline.threads import SAID, THREADS, processors

PARENT = "STROP_PARENT"
"""The environment variable with the id of the process that a child must not outlive."""
LOOK_SECONDS = 0.5
GRACE_SECONDS = 10.0
RESTARTS = 3
"""How often all processes start again when one of them dies."""
KILLED, ALONE = 3, 4
"""Exit codes of torchrun's process: a process was killed too often, or no other node came."""
PROGRESS, REFUSED, LOG = "progress.jsonl", "refused.txt", "torchrun.log"


@dataclass(frozen=True)
class Width:
    """How many processes train on each of ``nodes`` hosts, which meet at ``rendezvous``."""

    processes: int
    nodes: int = 1
    rendezvous: str | None = None

    def options(self) -> list[str]:
        """The options of torchrun."""
        own = ["--nproc-per-node", str(self.processes), "--max-restarts", str(RESTARTS)]
        if self.rendezvous is None:
            return ["--standalone", "--local-addr", "127.0.0.1", *own]
        return [
            *("--nnodes", str(self.nodes), "--rdzv-backend", "c10d", "--rdzv-id", "strop"),
            *("--rdzv-endpoint", self.rendezvous, *own),
        ]


class ToFile:
    """Progress that another process reads from a file, as `follow` does."""

    def __init__(self, path: Path) -> None:
        """Append to this file."""
        self._path = path

    def start(self, total: int, unit: str) -> None:
        """Say how many units are to come."""
        self._tell([total, unit])

    def advance(self, count: int) -> None:
        """Say that so many more units are done."""
        self._tell([count])

    def _tell(self, values: list[Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


def follow(
    module: str, job: Path, width: Width, *, threads: int | None, progress: Progress
) -> None:
    """Run a module's processes to their end, passing on their progress.

    ``job`` is a file that the module takes as its argument; beside it they leave their progress,
    the line with which they refuse the work, if they do, and their log. Raises `InputError` with
    that line, or when a process was killed too often; `WorkLost` when torchrun was; `RuntimeError`
    with the end of the log when one failed.
    """
    with _running(module, job, width, threads) as process:
        listening = _Progress(job.parent / PROGRESS, progress)
        while process.poll() is None and not (job.parent / REFUSED).exists():
            time.sleep(LOOK_SECONDS)
            listening.pass_on()
        listening.pass_on()
        refused = job.parent / REFUSED
        if refused.exists():
            raise InputError(refused.read_text(encoding="utf-8"))
        if process.returncode:
            raise _failure(process.returncode, job.parent / LOG, width)


@contextlib.contextmanager
def _running(
    module: str, job: Path, width: Width, threads: int | None
) -> Iterator[subprocess.Popen[bytes]]:
    """torchrun at work; it and all that it started are gone afterwards."""
    each = threads or SAID or max(1, processors() // width.processes)
    environment = {**os.environ, THREADS: str(each), PARENT: str(os.getpid())}
    command = [sys.executable, "-m", "strop.pipeline.training.torchrun", *width.options()]
    with (job.parent / LOG).open("wb") as log:
        process = subprocess.Popen(
            [*command, "-m", module, str(job)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let torchrun end its processes; those that it leaves see that it is gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)


class _Progress:
    """Passes on what is new in a progress file."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path, self._progress, self._read = path, progress, 0

    def pass_on(self) -> None:
        """Pass on whole lines; nothing new is told as well, since whoever is told may end us."""
        self._progress.advance(0)
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            lines = file.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._read += len(whole)
        for values in map(json.loads, whole.splitlines()):
            if len(values) == 2:
                self._progress.start(*values)
            else:
                self._progress.advance(*values)


def _failure(code: int, log: Path, width: Width) -> Exception:
    """Why the processes ended: they or torchrun were killed, or alone, or had an error."""
    if code == KILLED:
        return InputError(
            f"training: one of {width.processes * width.nodes} processes was killed, and again "
            f"after each of {RESTARTS} restarts; where memory ends, lower training.graph_tokens or "
            "execution.processes"
        )
    if code == ALONE:
        return InputError(
            f"execution.rendezvous = {width.rendezvous}: {width.nodes} nodes did not meet there; "
            "start torchrun on the others, and see that they reach that address"
        )
    if code < 0:
        return WorkLost(
            f"training: torchrun was ended by {signal.Signals(-code).name}, which strop did not "
            "send; the same command resumes"
        )
    text = log.read_text(encoding="utf-8", errors="replace")
    return RuntimeError(f"training processes failed:\n{text[-4000:]}")


def die_with_parent() -> None:
    """From now on, end this process when its parent is gone."""
    parent = int(os.environ.get(PARENT, os.getppid()))

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def main(arguments: Sequence[str]) -> None:
    """torchrun, which ends with its parent as its own processes end with it."""
    die_with_parent()
    os.environ[PARENT] = str(os.getpid())
    # A store that is kept over restarts still holds the addresses of the processes before.
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.run import main as torchrun

    try:
        torchrun(list(arguments))
    except ChildFailedError as error:
        if any(failure.exitcode == -signal.SIGKILL for failure in error.failures.values()):
            sys.exit(KILLED)
        raise
    except RendezvousError:
        traceback.print_exc()
        sys.exit(ALONE)


if __name__ == "__main__":
    main(sys.argv[1:])
