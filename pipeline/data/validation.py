"""Defects of imported data: collected by kind, with counts and examples, errors and warnings."""

from dataclasses import dataclass, field
from typing import Any

from strop.pipeline.errors import InputError

MAX_EXAMPLES = 100
"""Messages of one kind that are kept; all are counted."""
MAX_LENGTH = 400
"""Characters of one message: a value found may be megabytes long."""


@dataclass
class Kind:
    """One kind of defect: whether it refuses the data, how often it occurs, and examples."""

    severity: str
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The first example, and how many more there are."""
        more = self.count - 1
        return f"{self.examples[0]} (and {more:,} more like it)" if more else self.examples[0]


@dataclass
class Defects:
    """Collects every kind of defect in one pass, with its count and its first examples."""

    _kinds: dict[str, Kind] = field(default_factory=dict)

    def add(self, kind: str, message: str) -> None:
        """Count an error: data with one are refused."""
        self._count(kind, "error", message)

    def warn(self, kind: str, message: str) -> None:
        """Count a warning: the data can be used as they are."""
        self._count(kind, "warning", message)

    def _count(self, kind: str, severity: str, message: str) -> None:
        found = self._kinds.setdefault(kind, Kind(severity))
        found.count += 1
        if len(found.examples) < MAX_EXAMPLES:
            found.examples.append(one_line(message))

    def lines(self) -> list[str]:
        """One line a kind of error, in the order found."""
        return self._lines("error")

    def warnings(self) -> list[str]:
        """One line a kind of warning, in the order found."""
        return self._lines("warning")

    def _lines(self, severity: str) -> list[str]:
        return [kind.line() for kind in self._kinds.values() if kind.severity == severity]

    def warned(self) -> dict[str, int]:
        """How many warnings there are of each kind."""
        return {
            name: kind.count for name, kind in self._kinds.items() if kind.severity == "warning"
        }

    def report(self) -> list[dict[str, Any]]:
        """Every kind with severity, count and examples, for scripts."""
        return [{"kind": name, **vars(kind)} for name, kind in self._kinds.items()]

    def raise_if_any(self) -> None:
        """Raise `InvalidData` when there is any error."""
        if lines := self.lines():
            raise InvalidData(lines, self.report())


def one_line(message: str) -> str:
    """The message without line ends, cut in the middle where it is very long."""
    message = " ".join(message.splitlines())
    if len(message) <= MAX_LENGTH:
        return message
    half = MAX_LENGTH // 2
    return f"{message[:half]} … {message[-half:]}"


class InvalidData(InputError):
    """Data that cannot be imported; ``lines`` has one line for every kind of error.

    ``report`` tells the same with counts and examples, and the warnings too.
    """

    def __init__(self, lines: list[str], report: list[dict[str, Any]] | None = None) -> None:
        """Keep the lines; the message is all of them."""
        super().__init__("\n".join(lines))
        self.lines = lines
        self.report = report or []
