"""The working file of a review: each verdict is appended durably at once, until it is committed."""

import json
from dataclasses import dataclass
from typing import Any

from strop.artifacts import durable
from strop.artifacts.errors import Damaged
from strop.artifacts.leases import Lease
from strop.artifacts.runs import Run

Pair = tuple[str, str]
"""A query id and a passage id."""
Verdicts = dict[Pair, str]


def review_lease(run: Run) -> Lease:
    """The lease that a process holds from before it reads a review until it has written to it."""
    return Lease(run.folder / "review" / "lease", what=f"review of run {run.name}")


@dataclass(frozen=True)
class Entry:
    """What one line of the file says: verdicts that were given, alone or from a file."""

    verdicts: Verdicts
    imported: bool


class ReviewLog:
    """The verdicts that people gave of one run's suspects, over all its reviews.

    One line is one entry, whole or not there: a line that a killed process left half-written is
    no entry, and the next one is written over it.
    """

    def __init__(self, run: Run, lease: Lease | None = None) -> None:
        """Read what was given so far; without the run's `review_lease` nothing can be written."""
        self._lease = lease
        self._path = run.folder / "review" / "log.jsonl"
        self._entries: list[Entry] = []
        data = self._path.read_bytes() if self._path.exists() else b""
        self._size = data.rfind(b"\n") + 1
        for number, line in enumerate(data[: self._size].splitlines(), start=1):
            self._apply(self._parse(line, number))
        self._verdicts = self._folded()

    @property
    def verdicts(self) -> Verdicts:
        """The last verdict of every pair."""
        return dict(self._verdicts)

    @property
    def undoable(self) -> Pair | None:
        """The pair whose verdict `undo` would take back; none for verdicts from a file."""
        if not self._entries or self._entries[-1].imported:
            return None
        return next(iter(self._entries[-1].verdicts))

    def give(self, pair: Pair, verdict: str) -> None:
        """Keep one verdict; it replaces an earlier one of the pair."""
        self._append({"verdicts": [[*pair, verdict]]})
        self._verdicts[pair] = verdict

    def add(self, verdicts: Verdicts) -> None:
        """Keep verdicts from a file, all of them or none."""
        if verdicts:
            said = [[*pair, verdict] for pair, verdict in verdicts.items()]
            self._append({"imported": True, "verdicts": said})
            self._verdicts.update(verdicts)

    def undo(self) -> Pair | None:
        """Take back the last verdict that was given by hand; returns its pair, if there is one."""
        pair = self.undoable
        if pair is not None:
            self._append({"undo": True})
            self._verdicts = self._folded()
        return pair

    def _append(self, line: dict[str, Any]) -> None:
        assert self._lease is not None, "a review that was opened for reading"
        data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        with self._lease.guard():
            durable.append(self._path, self._size, data)
            self._size += len(data)
            self._apply(line)

    def _apply(self, line: dict[str, Any]) -> None:
        if line.get("undo"):
            self._entries.pop()
            return
        said = {(query, passage): verdict for query, passage, verdict in line["verdicts"]}
        self._entries.append(Entry(said, bool(line.get("imported"))))

    def _folded(self) -> Verdicts:
        found: Verdicts = {}
        for entry in self._entries:
            found.update(entry.verdicts)
        return found

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            values = json.loads(line)
            if not (values.get("undo") and self._entries):
                _ = {(query, passage): word for query, passage, word in values["verdicts"]}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(
                f"{self._path} line {number}: not an entry of a review ({line[:60]!r}), expected "
                'JSON with "verdicts"; remove the line'
            ) from error
        return dict(values)
