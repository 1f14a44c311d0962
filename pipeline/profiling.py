"""What models spend their time on: counted and traced where they run, for whoever asks.

Nothing is recorded unless a `Recorder` is active; recording changes no result.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TRACED_CALLS = 3
"""Calls of a model in a stage that are traced, after `SKIPPED_CALLS` that warm up."""
SKIPPED_CALLS = 1


@dataclass
class Recorder:
    """Counts of one stage, and the trace of its first calls, if it calls a model."""

    trace_path: Path | None = None
    tokens: int = 0
    places: int = 0
    calls: int = 0
    model_seconds: float = 0.0
    _tracer: Any = field(default=None, repr=False)

    @property
    def padding_share(self) -> float:
        """The share of the models' places that held no token."""
        return 1 - self.tokens / self.places if self.places else 0.0

    def before_call(self) -> None:
        """Start the trace when it is time."""
        if self.trace_path is not None and self.calls == SKIPPED_CALLS:
            from torch.profiler import profile

            self._tracer = profile()
            self._tracer.start()

    def after_call(self, seconds: float) -> None:
        """Count the call, and end the trace when it is long enough."""
        self.calls += 1
        self.model_seconds += seconds
        if self.calls == SKIPPED_CALLS + TRACED_CALLS:
            self.close()

    def close(self) -> None:
        """Write the trace that is running, as Chrome and Perfetto read it."""
        if self._tracer is not None:
            self._tracer.stop()
            self._tracer.export_chrome_trace(str(self.trace_path))
            self._tracer = None


_active: list[Recorder] = []
_calling: list[None] = []


@contextlib.contextmanager
def recording(recorder: Recorder) -> Iterator[Recorder]:
    """Record into this while entered."""
    _active.append(recorder)
    try:
        yield recorder
    finally:
        _active.remove(recorder)
        recorder.close()


def count_tokens(tokens: int, places: int) -> None:
    """Say that a model gets so many tokens in so many places of a padded batch."""
    for recorder in _active:
        recorder.tokens += tokens
        recorder.places += places


@contextlib.contextmanager
def model_wait() -> Iterator[None]:
    """While entered, calls that a GPU still works on are waited for, which is a model's time."""
    started = time.perf_counter()
    try:
        yield
    finally:
        for recorder in _active:
            recorder.model_seconds += time.perf_counter() - started


@contextlib.contextmanager
def model_call() -> Iterator[None]:
    """While entered, a model computes; a call within a call belongs to the outer one."""
    if not _active or _calling:
        yield
        return
    _calling.append(None)
    for recorder in _active:
        recorder.before_call()
    started = time.perf_counter()
    try:
        yield
    finally:
        _calling.clear()
        for recorder in _active:
            recorder.after_call(time.perf_counter() - started)
