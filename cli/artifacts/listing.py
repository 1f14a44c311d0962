"""`strop artifacts ls`: what is in the store, by run, round, kind and age."""

import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from strop.artifacts.inspection.catalog import Entry, read_catalog
from strop.artifacts.inspection.membership import Membership, memberships
from strop.artifacts.runs import list_runs
from strop.artifacts.schemas import KINDS
from strop.artifacts.store import Store
from strop.cli.artifacts.text import age_text, cell_text, columns, size_text
from strop.cli.display import headline
from strop.cli.output import REFUSED, end_with_error, print_json
from strop.pipeline.errors import counted

VERDICTS_PART = re.compile(r"verdicts-(\d+)")
TITLES = ("kind", "id", "run", "round", "age", "size", "headline")


@dataclass(frozen=True)
class Wish:
    """Which artifacts to list; what is None or empty leaves nothing out."""

    kind: str | None
    run: str | None
    round: int | None
    newer: timedelta | None
    older: timedelta | None


def list_artifacts(store: Store, wish: Wish, *, json: bool) -> None:
    """Print the artifacts that the wish asks for, oldest first; name what cannot be read."""
    if wish.kind is not None and wish.kind not in KINDS:
        end_with_error(f"kind {wish.kind!r}: unknown; expected {', '.join(KINDS)}", code=REFUSED)
    _check_run(store, wish.run)
    catalog = read_catalog(store)
    member = memberships(store, catalog.entries)
    rows = [
        (entry, found)
        for entry in catalog.entries
        if _asked(entry, found := member.get((entry.kind, entry.id), []), wish)
    ]
    for problem in catalog.damaged.values():
        sys.stderr.write(f"warning: {problem}\n")
    if json:
        print_json([_row(*row) for row in rows])
        return
    for line in columns(
        TITLES, [_cells(*row, wish) for row in rows], right=frozenset({"size", "age"})
    ):
        print(line)
    print(f"{counted(len(rows), 'artifacts')}, {size_text(sum(entry.size for entry, _ in rows))}")


def _check_run(store: Store, run: str | None) -> None:
    if run is None:
        return
    known = [item.name for item in list_runs(store)]
    if run not in known:
        there = f"the runs are {', '.join(known)}" if known else "there is none yet"
        end_with_error(f"run {run!r}: not in the store {store.location}; {there}", code=REFUSED)


def _asked(entry: Entry, found: list[Membership], wish: Wish) -> bool:
    if wish.kind is not None and entry.kind != wish.kind:
        return False
    if (wish.run is not None or wish.round is not None) and not _of_wish(found, wish):
        return False
    if wish.newer is None and wish.older is None:
        return True
    age = datetime.now(UTC) - datetime.fromisoformat(entry.created)
    return (wish.newer is None or age <= wish.newer) and (wish.older is None or age >= wish.older)


def _of_wish(found: list[Membership], wish: Wish) -> list[Membership]:
    return [
        item for item in found if wish.run in (None, item.run) and wish.round in (None, item.round)
    ]


def _cells(entry: Entry, found: list[Membership], wish: Wish) -> tuple[str, ...]:
    """A line; of several runs that have the artifact, it tells of one that was asked for."""
    runs = list(dict.fromkeys(item.run for item in [*_of_wish(found, wish), *found]))
    rounds = dict.fromkeys(_round_text(item) for item in found if item.run == runs[0])
    more = f" +{len(runs) - 1}" if len(runs) > 1 else ""
    return (
        entry.kind,
        entry.id,
        f"{runs[0]}{more}" if runs else "",
        ", ".join(rounds),
        age_text(entry.created),
        size_text(entry.size),
        cell_text(headline(entry.stage, entry.summary), 110),
    )


def _round_text(item: Membership) -> str:
    """The round, or another part of the run; verdicts are for all rounds from one on."""
    if item.round is not None:
        return str(item.round)
    verdicts = VERDICTS_PART.fullmatch(item.part)
    return f"from {int(verdicts[1])}" if verdicts else item.part


def _row(entry: Entry, found: list[Membership]) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "id": entry.id,
        "stage": entry.stage,
        "created": entry.created,
        "seconds": entry.seconds,
        "bytes": entry.size,
        "rows": entry.rows,
        "runs": [vars(item) for item in found],
        "summary": entry.summary,
    }
