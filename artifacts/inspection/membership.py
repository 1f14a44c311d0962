"""Which run, and which round of it, an artifact belongs to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from strop.artifacts.inspection.catalog import Entry
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Refs, list_runs
from strop.artifacts.store import Store

Key = tuple[str, str]
"""Kind and id."""
PREPARE, ASSESS = "prepare", "assess"
"""The first and the last part of a run."""
ROUND = re.compile(r"round-(\d+)")
ROUND_OF_ROLE = re.compile(r"metrics_[a-z]+_(\d+)")
"""The roles of a run's last part that speak of one round each."""


@dataclass(frozen=True)
class Membership:
    """A run's part that an artifact was made in; what was prepared belongs to round 0.

    ``role`` is empty for what the run did not record itself, but made something from.
    """

    run: str
    part: str
    round: int | None
    role: str


def memberships(store: Store, entries: Iterable[Entry]) -> dict[Key, list[Membership]]:
    """The runs of every artifact, by run and round: one membership for each that recorded it.

    Rounds that end in equal bits share an artifact, and so do runs.
    """
    inputs = {(entry.kind, entry.id): entry.inputs for entry in entries}
    found: dict[Key, list[Membership]] = {}
    for run in list_runs(store):
        for key, items in _of_run(run.name, run.parts(), inputs).items():
            found.setdefault(key, []).extend(items)
    return found


def _of_run(
    run: str, parts: dict[str, Refs], inputs: dict[Key, Refs]
) -> dict[Key, list[Membership]]:
    recorded = [
        (ref, Membership(run, part, _round(part, role), role))
        for part in sorted(parts, key=_order)
        for role, ref in parts[part].items()
    ]
    found: dict[Key, list[Membership]] = {}
    for ref, membership in recorded:
        items = found.setdefault((ref.kind, ref.id), [])
        if all((item.part, item.round) != (membership.part, membership.round) for item in items):
            items.append(membership)
    for ref, membership in sorted(recorded, key=lambda item: item[1].round is None):
        made_from = Membership(run, membership.part, membership.round, "")
        for key in _ancestors(ref, inputs):
            found.setdefault(key, [made_from])
    return found


def _ancestors(ref: ArtifactRef, inputs: dict[Key, Refs]) -> list[Key]:
    seen: dict[Key, None] = {}
    waiting = [(ref.kind, ref.id)]
    while waiting:
        for parent in inputs.get(waiting.pop(), {}).values():
            key = (parent.kind, parent.id)
            if key not in seen:
                seen[key] = None
                waiting.append(key)
    return list(seen)


def _order(part: str) -> tuple[int, str]:
    if part == PREPARE:
        return (0, part)
    return (1 if ROUND.fullmatch(part) else 3 if part == ASSESS else 2, part)


def _round(part: str, role: str) -> int | None:
    match = ROUND.fullmatch(part) or ROUND_OF_ROLE.fullmatch(role)
    if match:
        return int(match[1])
    return 0 if part == PREPARE else None
