"""How long work tells of its progress without knowing who is watching."""

from typing import Protocol


class Progress(Protocol):
    """Receives counts from a running stage."""

    def start(self, total: int, unit: str) -> None:
        """Say how many units are to come, 0 if unknown; a second call replaces the first."""

    def advance(self, count: int) -> None:
        """Say that so many more units are done."""


class Silent:
    """A watcher that ignores everything."""

    def start(self, total: int, unit: str) -> None:
        """Ignore."""

    def advance(self, count: int) -> None:
        """Ignore."""


SILENT: Progress = Silent()
