"""Who is told that a stage starts, moves and ends, beside Prefect: the terminal's display."""

from typing import Any, Protocol


class Watcher(Protocol):
    """Sees every stage of this process."""

    def heading(self, text: str) -> None:
        """Say what the stages to come belong to."""

    def started(self, stage: str) -> None:
        """Say that a stage looks for its artifact."""

    def waiting(self, stage: str, what: str) -> None:
        """Say what a stage waits for before it starts to compute."""

    def total(self, stage: str, count: int, unit: str) -> None:
        """Say how many units the stage has to do."""

    def advanced(self, stage: str, count: int) -> None:
        """Say that so many more are done."""

    def finished(
        self, stage: str, *, reused: bool, seconds: float, summary: dict[str, Any]
    ) -> None:
        """Say that the stage's artifact is in the store."""


_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> None:
    """Tell this watcher of every stage from now on."""
    _watchers.append(watcher)


def unwatch(watcher: Watcher) -> None:
    """Tell this watcher no more."""
    _watchers.remove(watcher)


def watchers() -> tuple[Watcher, ...]:
    """Those who watch now."""
    return tuple(_watchers)
