"""Defects of imported data: collected by kind, with a count and the first example of each."""

from dataclasses import dataclass, field

from strop.pipeline.errors import InputError


@dataclass
class Defects:
    """Collects the first example and the count of every kind of defect in one pass."""

    _first_by_kind: dict[str, str] = field(default_factory=dict)
    _count_by_kind: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, message: str) -> None:
        """Count one defect; the first message of a kind is the one that is shown."""
        self._first_by_kind.setdefault(kind, message)
        self._count_by_kind[kind] = self._count_by_kind.get(kind, 0) + 1

    def lines(self) -> list[str]:
        """One line a kind of defect, in the order found."""
        lines = []
        for kind, message in self._first_by_kind.items():
            more = self._count_by_kind[kind] - 1
            lines.append(f"{message} (and {more:,} more like it)" if more else message)
        return lines

    def raise_if_any(self) -> None:
        """Raise `InvalidData` when anything was found."""
        if self._first_by_kind:
            raise InvalidData(self.lines())


class InvalidData(InputError):
    """Data that cannot be imported; ``lines`` has one line for every kind of defect."""

    def __init__(self, lines: list[str]) -> None:
        """Keep the lines; the message is all of them."""
        super().__init__("\n".join(lines))
        self.lines = lines
