"""Garbage collection beside running work: mark, wait, read again, hide, read again, delete.

A manifest that is hidden (renamed) is no artifact for anybody, but a lookup can still bring it
back. Between a lookup, which pins and then reads the manifest, and this, which hides and then
reads the pins, one sees the other. What is hidden is then claimed by one more rename. Both go
through children before what they were made from: a collection that is killed leaves no artifact
whose inputs are gone, and if a lookup was faster, the ancestors of what it saved stay too.
"""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from strop.artifacts import durable, pins, slots
from strop.artifacts.backends.location import StorePath, matching
from strop.artifacts.leases import Lease
from strop.artifacts.manifest import Manifest
from strop.artifacts.runs import Run
from strop.artifacts.store import MARKED, Store
from strop.artifacts.upkeep.plan import Plan, Policy, by_key, make_plan, reasons
from strop.artifacts.upkeep.roots import Key, reachable

Wait = Callable[[float], None]


def collect(store: Store, policy: Policy, *, wait: Wait = time.sleep) -> Plan:
    """Delete what is garbage before and after the policy's grace time; returns what went.

    Raises `Busy` while another collection or a run to be forgotten goes on, and `Damaged` before
    anything is deleted when a manifest or a record cannot be read.
    """
    with Lease(store.root / "gc" / "lease", what=f"gc of {store.location}") as lease:
        trash = store.root / "gc" / "trash" / secrets.token_hex(6)
        trash.mkdir(parents=True)
        _bring_back(store)
        first = make_plan(store, policy)
        for item in first.artifacts:
            _home(store, item).joinpath(MARKED).touch()
        wait(policy.grace_seconds)
        lease.check()
        for name in sorted(policy.without_runs):
            _forget_run(store, name, trash)
        chosen = _still_garbage(store, policy)
        hidden = [item for item in _children_first(chosen) if slots.hide(_home(store, item))]
        gone = sweep(store, _spared(store, policy, hidden), trash)
        leftovers = _clear_leftovers(store, first, make_plan(store, policy), trash)
        for path in matching(store.root / "objects", f"*/*/{MARKED}"):
            path.unlink(missing_ok=True)
        pins.forget_dead(store.root)
        durable.remove_tree(trash.parent)
        return Plan(gone, leftovers, make_plan(store, policy).kept)


def _home(store: Store, item: Manifest) -> StorePath:
    return store.place(item).parent


def _bring_back(store: Store) -> None:
    """Undo what a collection that was killed had hidden."""
    for home in slots.hidden(store.root / "objects"):
        slots.bring_back(home)


def _still_garbage(store: Store, policy: Policy) -> list[Manifest]:
    """What was marked, still is, and is garbage again."""
    garbage = make_plan(store, policy).artifacts
    return [item for item in garbage if _home(store, item).joinpath(MARKED).exists()]


def _spared(store: Store, policy: Policy, hidden: list[Manifest]) -> list[Manifest]:
    """Bring back what somebody spoke of or used since it was judged; the rest, to be deleted."""
    manifests = by_key([*store.artifacts(), *hidden])
    stay = reachable(reasons(store, policy, manifests), manifests)
    stay |= reachable(manifests.keys() - by_key(hidden).keys(), manifests)
    for item in reversed(hidden):
        if (item.kind, item.id) in stay:
            slots.bring_back(_home(store, item))
    return [item for item in hidden if (item.kind, item.id) not in stay]


def sweep(store: Store, doomed: list[Manifest], trash: StorePath) -> list[Manifest]:
    """Move artifacts to the trash, children first; a lookup that was faster saves its ancestors."""
    manifests = by_key(doomed)
    saved: set[Key] = set()
    gone = []
    for item in _children_first(doomed):
        key, home = (item.kind, item.id), _home(store, item)
        if key in saved:
            slots.bring_back(home)
            continue
        if not slots.remove_hidden(home, trash / f"{item.kind}-{item.id}.json"):
            saved |= reachable([key], manifests)
            continue
        durable.discard(store.place(item), trash / f"{item.kind}-{item.id}")
        (home / MARKED).unlink(missing_ok=True)
        with suppress(OSError):  # another attempt of the same recipe may have begun in it
            home.rmdir()
        gone.append(item)
    return gone


def _children_first(items: list[Manifest]) -> list[Manifest]:
    manifests = by_key(items)
    order: dict[Key, None] = {}
    waiting = [(key, False) for key in manifests]
    while waiting:
        key, parents_done = waiting.pop()
        if parents_done:
            order.setdefault(key)
        elif key not in order:
            refs = manifests[key].inputs.values()
            waiting.append((key, True))
            waiting += [((r.kind, r.id), False) for r in refs if (r.kind, r.id) in manifests]
    return [manifests[key] for key in reversed(order)]


def _clear_leftovers(store: Store, first: Plan, second: Plan, trash: StorePath) -> list[StorePath]:
    """Move what was a leftover before and after the wait to the trash."""
    seen = set(first.leftovers)
    found = [path for path in second.leftovers if path in seen]
    for number, path in enumerate(found):
        durable.discard(path, trash / f"leftover-{number}")
    for home in matching(store.root / "objects", "*/*"):
        with suppress(OSError):  # not empty: it has an artifact, or an attempt at one
            home.rmdir()
    return found


def _forget_run(store: Store, name: str, trash: StorePath) -> None:
    """Take a run's record away; raises `Busy` when a process works on it."""
    run = Run(store, name)
    with run.lease():
        durable.discard(run.folder, trash / f"run-{name}")
