"""What garbage collection would delete, and why the rest stays."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from strop.artifacts import durable, pins
from strop.artifacts.backends.location import StorePath, in_order
from strop.artifacts.manifest import ID_LENGTH, Manifest
from strop.artifacts.slots import DOOMED, MANIFEST
from strop.artifacts.store import MARKED, Store
from strop.artifacts.tombstones import TOMBSTONE
from strop.artifacts.upkeep.roots import BROUGHT, Key, reachable, roots

TEMPORARY_SECONDS = 3600.0
"""So old is a half-written file that nobody finishes any more."""


@dataclass(frozen=True)
class Policy:
    """What stays though nothing speaks of it.

    That is what is younger than ``keep_days``, the newest ``keep_last`` of each kind, and what
    people brought unless ``imports``; ``without_runs`` are runs that speak for nothing any more.
    Leftovers stay while something in them is younger than ``grace_seconds``.
    """

    keep_days: float = 7.0
    keep_last: int = 0
    imports: bool = False
    without_runs: frozenset[str] = frozenset()
    grace_seconds: float = 60.0


@dataclass(frozen=True)
class Plan:
    """The artifacts to delete, leftovers of dead attempts, and how many stay for which reason."""

    artifacts: list[Manifest]
    leftovers: list[StorePath]
    kept: dict[str, int]

    @property
    def size(self) -> int:
        """Bytes that go, artifacts' alone."""
        return sum(item.size for item in self.artifacts)


def make_plan(store: Store, policy: Policy) -> Plan:
    """Look at everything; raises `Damaged` when a manifest or a record cannot be read."""
    manifests = by_key(store.artifacts())
    why = reasons(store, policy, manifests)
    stay = reachable(why, manifests)
    kept = Counter(why.get(key, "what others were made from") for key in stay)
    return Plan(
        artifacts=[item for key, item in manifests.items() if key not in stay],
        leftovers=list(_leftovers(store, policy, manifests)),
        kept=dict(kept.most_common()),
    )


def by_key(manifests: list[Manifest]) -> dict[Key, Manifest]:
    """Manifests by kind and id."""
    return {(item.kind, item.id): item for item in manifests}


def reasons(store: Store, policy: Policy, manifests: dict[Key, Manifest]) -> dict[Key, str]:
    """Why what stays for its own sake stays."""
    spoken_of = roots(store, without_runs=policy.without_runs)
    newest = datetime.now(UTC) - timedelta(days=policy.keep_days)
    found = {key: why for key, why in spoken_of.items() if key in manifests}
    last: Counter[str] = Counter()
    for key, item in reversed(manifests.items()):
        if key in found:
            continue
        last[item.kind] += 1
        if item.kind in BROUGHT and not policy.imports:
            found[key] = "imported"
        elif datetime.fromisoformat(item.created) > newest:
            found[key] = (
                f"younger than {policy.keep_days:g} {'day' if policy.keep_days == 1 else 'days'}"
            )
        elif last[item.kind] <= policy.keep_last:
            found[key] = f"among the newest {policy.keep_last} of its kind"
    return found


def _leftovers(store: Store, policy: Policy, manifests: dict[Key, Manifest]) -> Iterator[StorePath]:
    """Attempts that no manifest speaks for, work of dead stages, half-written files.

    The folders are listed before the pins are read: an attempt is pinned before it has a folder,
    so whatever is seen here and lives is seen among the pins too.
    """
    folders = in_order(store.root / "objects", "*/*/*")
    work = in_order(store.local / "work", "*/*")
    used = pins.pinned(store.root)
    for path in folders:
        key = (path.parent.parent.name, path.parent.name)
        mine = path.name in (MANIFEST, DOOMED, MARKED, TOMBSTONE)
        spoken_for = key in manifests and manifests[key].attempt == path.name
        if not (mine or spoken_for or key in used) and durable.idle(path) > policy.grace_seconds:
            yield path
    for path in work:
        key = (path.parent.name, path.name[:ID_LENGTH])
        limit = policy.grace_seconds if key in manifests else policy.keep_days * 86400
        if key not in used and durable.idle(path) > limit:
            yield path
    for place in ("index", "runs", "refs", "pins"):
        for folder, _, names in os.walk(store.local / place):  # folders may vanish meanwhile
            halves = [Path(folder, name) for name in names if re.fullmatch(r"\..*\.tmp", name)]
            yield from (path for path in halves if durable.idle(path) > TEMPORARY_SECONDS)
