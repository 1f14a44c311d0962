"""Where the time of a run's stages went: a watcher that writes a breakdown and traces."""

import json
import os
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from strop.pipeline.profiling import Recorder, recording

HEADER = (
    "| stage | seconds | CPU seconds | in models | idle | tokens | padding | MB read | written |",
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
)


@dataclass(frozen=True)
class StageCost:
    """What one stage took; ``idle`` is the share of its time in which no core worked for it.

    MB are those that the process read and wrote, whether they came from a disk or its cache.
    """

    stage: str
    reused: bool
    seconds: float
    cpu_seconds: float
    model_seconds: float
    idle: float
    tokens: int
    padding: float
    read_mb: float
    written_mb: float

    def row(self) -> str:
        """A line of the table."""
        name = f"{self.stage} (reused)" if self.reused else self.stage
        cells = (
            name,
            f"{self.seconds:.2f}",
            f"{self.cpu_seconds:.2f}",
            f"{self.model_seconds / self.seconds:.0%}" if self.seconds else "–",
            f"{self.idle:.0%}",
            f"{self.tokens:,}" if self.tokens else "–",
            f"{self.padding:.1%}" if self.tokens else "–",
            f"{self.read_mb:,.1f}",
            f"{self.written_mb:,.1f}",
        )
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class _Reading:
    """The clocks and counters of this process."""

    wall: float
    cpu: float
    read: int
    written: int

    @classmethod
    def now(cls) -> "_Reading":
        """As they stand."""
        times = os.times()
        read, written = _transferred()
        return cls(time.perf_counter(), times.user + times.system, read, written)


def _transferred() -> tuple[int, int]:
    """Bytes read and written; 0 on a system that does not count them."""
    process = psutil.Process()
    if not hasattr(process, "io_counters"):
        return 0, 0
    counters = process.io_counters()
    return (
        getattr(counters, "read_chars", counters.read_bytes),
        getattr(counters, "write_chars", counters.write_bytes),
    )


class StageProfile:
    """Watches stages and writes ``breakdown.md``, ``breakdown.json`` and a trace a stage."""

    def __init__(self, folder: Path) -> None:
        """Make the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # torch's tracer tells of every start
        self.costs: list[StageCost] = []
        self._folder = folder
        self._running: dict[str, tuple[_Reading, Recorder, ExitStack]] = {}

    def heading(self, text: str) -> None:
        """Ignore."""

    def waiting(self, stage: str, what: str) -> None:
        """What a stage waits for is part of its idle time."""

    def total(self, stage: str, count: int, unit: str) -> None:
        """Ignore."""

    def advanced(self, stage: str, count: int) -> None:
        """Ignore."""

    def started(self, stage: str) -> None:
        """Begin to record the stage."""
        words = "".join(c if c.isalnum() else " " for c in stage.lower()).split()
        recorder, stack = Recorder(self._folder / f"trace-{'-'.join(words)}.json"), ExitStack()
        stack.enter_context(recording(recorder))
        self._running[stage] = _Reading.now(), recorder, stack

    def finished(
        self, stage: str, *, reused: bool, seconds: float, summary: dict[str, Any]
    ) -> None:
        """Write what is known up to this stage."""
        before, recorder, stack = self._running.pop(stage)
        after = _Reading.now()
        stack.close()
        wall, cpu = after.wall - before.wall, after.cpu - before.cpu
        self.costs.append(
            StageCost(
                stage=stage,
                reused=reused,
                seconds=round(wall, 4),
                cpu_seconds=round(cpu, 4),
                model_seconds=round(recorder.model_seconds, 4),
                idle=round(max(0.0, 1 - cpu / wall), 4) if wall else 0.0,
                tokens=recorder.tokens,
                padding=round(recorder.padding_share, 4),
                read_mb=round((after.read - before.read) / 1e6, 3),
                written_mb=round((after.written - before.written) / 1e6, 3),
            )
        )
        self._write()

    def _write(self) -> None:
        lines = [*HEADER, *(cost.row() for cost in self.costs)]
        (self._folder / "breakdown.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        text = json.dumps([asdict(cost) for cost in self.costs], indent=1) + "\n"
        (self._folder / "breakdown.json").write_text(text, encoding="utf-8")
