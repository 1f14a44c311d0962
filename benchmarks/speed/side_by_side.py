"""Runs several sides of a comparison in turn, each in its own process and environment."""

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

SIDES = Path(__file__).parent / "sides"


@dataclass(frozen=True)
class Side:
    """A program under ``sides/`` and the interpreter that runs it."""

    name: str
    program: str
    python: str


@dataclass
class Process:
    """A side that has loaded, and the answers it gave."""

    side: Side
    process: "subprocess.Popen[str]"
    versions: dict[str, str] = field(default_factory=dict)
    loaded_mb: float = 0.0
    answers: list[dict[str, Any]] = field(default_factory=list)

    def do(self, job: str, **options: Any) -> dict[str, Any]:
        """One job's answer; raises `RuntimeError` when the side ended instead."""
        assert self.process.stdin is not None
        print(json.dumps({"job": job, **options}), file=self.process.stdin, flush=True)
        return self.read()

    def read(self) -> dict[str, Any]:
        """The next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.side.name} ended with code {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


def versions_of(processes: Iterable[Process]) -> dict[str, str]:
    """All versions; those of FlagEmbedding's own environment bear its name."""
    found = {}
    for process in processes:
        theirs = process.side.name == "FlagEmbedding"
        for name, number in process.versions.items():
            own = theirs and name != "FlagEmbedding"
            found[f"{name} (FlagEmbedding's)" if own else name] = number
    return found


@contextmanager
def started(side: Side, folder: Path, threads: int) -> Iterator[Process]:
    """A side that has loaded; what it prints goes to a log in the folder.

    With one thread tokenizers have one too. On a GPU, which sides share, their memory is of pieces
    that can be given back.
    """
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false" if threads == 1 else "true",
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    path = folder / f"{side.name.replace(' ', '-')}.log"
    with path.open("w") as log:
        process = subprocess.Popen(
            [side.python, str(SIDES / side.program), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        )
        try:
            found = Process(side, process)
            ready = found.read()
            found.versions, found.loaded_mb = ready["versions"], ready["peak_mb"]
            yield found
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {path.read_text()[-2000:]}") from error
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait(timeout=60)


def alternate(
    sides: list[Side], folder: Path, *, threads: int, rounds: int, warm: int = 8
) -> list[Process]:
    """Every side's answers to the job ``run``: ``rounds`` in turn, after ``warm`` items each."""
    with ExitStack() as stack:
        processes = [stack.enter_context(started(side, folder, threads)) for side in sides]
        for process in processes:
            process.do("run", limit=warm)
        for number in range(rounds):
            # Whoever comes first meets the neighbour's cache: the order turns round.
            for process in processes if number % 2 == 0 else processes[::-1]:
                process.answers.append(process.do("run"))
    return processes


@dataclass(frozen=True)
class Ratio:
    """How many times the seconds of the first side another one took, of neighbouring runs."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        """The median, and the lowest and highest."""
        return f"{self.middle:.2f} ({self.low:.2f}–{self.high:.2f})"


def ratio(ours: Process, theirs: Process, clock: str = "cpu") -> Ratio:
    """The ratio of a clock (``cpu`` or ``wall``) between two sides' runs."""
    values = [
        other[clock] / mine[clock] for mine, other in zip(ours.answers, theirs.answers, strict=True)
    ]
    return Ratio(median(values), min(values), max(values))


def middle(process: Process, name: str) -> float:
    """The median of a number in a side's answers."""
    return float(median(answer[name] for answer in process.answers))
