"""Who watches the stages of the flows that run in this process."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from strop.tasks.cancelling import RunCancelled, end_cancelled
from strop.tasks.stage_profile import StageProfile
from strop.tasks.watching import Watcher, unwatch, watch, watchers

__all__ = ["RunCancelled", "announce", "end_cancelled", "profiled", "watched"]


@contextlib.contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Tell the watcher of every stage while entered."""
    watch(watcher)
    try:
        yield
    finally:
        unwatch(watcher)


@contextlib.contextmanager
def profiled(folder: Path | None) -> Iterator[None]:
    """While entered, write into a folder where the stages' time goes; None writes nothing."""
    with watched(StageProfile(folder)) if folder is not None else contextlib.nullcontext():
        yield


def announce(text: str) -> None:
    """Tell the watchers what the stages to come belong to."""
    for watcher in watchers():
        watcher.heading(text)
