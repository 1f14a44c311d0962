"""How a side of a comparison talks to the harness: JSON lines, one process a side.

A side is started with a folder that holds the data; it loads once, says that it is ready, and does
each job that it is told. Imports nothing that a peer's environment may lack.
"""

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

Job = Callable[..., dict[str, Any]]
"""Does its work once; what it returns goes to the harness."""


def read_lines(path: Path) -> list[Any]:
    """The objects of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_lines(path: Path, values: list[Any]) -> None:
    """A JSON-lines file."""
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")


def by_model(steps: dict[str, Callable[..., dict[str, Job]]], folder: Path) -> dict[str, Job]:
    """A job that does any step with any model under a folder, of which it holds one at a time.

    Its answer is ``failed`` alone where a GPU's memory is too small.
    """
    held: dict[tuple[str, str], Job] = {}

    def run(model: str, step: str, **options: Any) -> dict[str, Any]:
        import torch

        if (model, step) not in held:
            held.clear()
            settings = json.loads((folder / model / "settings.json").read_bytes())
            held[model, step] = steps[step](folder / model, settings)["run"]
        try:
            return held[model, step](**options)
        except torch.cuda.OutOfMemoryError:
            held.clear()
            return {"failed": "out of memory"}
        finally:  # the other sides need the memory too
            gc.collect()
            torch.cuda.empty_cache()

    return {"run": run}


class StepEnds:
    """When the optimizer's steps ended, while entered; nobody waits for a GPU to know it."""

    def __init__(self) -> None:
        """None has ended."""
        self._ends: list[Any] = []

    def __enter__(self) -> "StepEnds":
        """Look at every optimizer."""
        from torch.optim.optimizer import register_optimizer_step_post_hook

        self._handle = register_optimizer_step_post_hook(self._keep)
        return self

    def __exit__(self, *raised: object) -> None:
        """Look no more."""
        self._handle.remove()

    def _keep(self, *given: object) -> None:
        import torch

        if not torch.cuda.is_available():
            self._ends.append(time.perf_counter())
            return
        self._ends.append(torch.cuda.Event(enable_timing=True))
        self._ends[-1].record()

    def after_first(self) -> float:
        """Seconds from the end of the first step to that of the last."""
        first, last = self._ends[0], self._ends[-1]
        if isinstance(first, float):
            return float(last - first)
        last.synchronize()
        return float(first.elapsed_time(last)) / 1000


def serve(load: Callable[[Path], dict[str, Job]], packages: tuple[str, ...]) -> None:
    """Load, then answer jobs with their CPU and wall seconds until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not look like an answer

    def say(**values: Any) -> None:
        print(json.dumps(values), file=answers, flush=True)

    jobs = load(Path(sys.argv[1]))
    say(versions={name: version(name) for name in packages}, peak_mb=_peak_mb())
    for line in sys.stdin:
        order = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        found = jobs[order.pop("job")](**order)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        say(**{"cpu": cpu, "wall": wall, "peak_mb": _peak_mb(), **found})


def _peak_mb() -> float:
    """The most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
