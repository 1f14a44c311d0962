"""What everything that must stay hangs on: runs, refs, pins, and what people brought."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from strop.artifacts import pins
from strop.artifacts.backends.location import StorePath, in_order
from strop.artifacts.errors import Damaged
from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store

Key = tuple[str, str]
"""Kind and id."""
BROUGHT = ("dataset", "model", "run_file", "verdicts")
"""Kinds that come from outside or from people, so that no run can make them again."""


def roots(store: Store, *, without_runs: frozenset[str] = frozenset()) -> dict[Key, str]:
    """Every id that something in the store speaks of, with what that is.

    Raises `Damaged` when a record cannot be read: what it speaks of would be lost.
    """
    found: dict[Key, str] = {}
    for key, why in _all(store, without_runs):
        found.setdefault(key, why)
    return found


def reachable(start: Iterable[Key], manifests: Mapping[Key, Manifest]) -> set[Key]:
    """These artifacts and everything that they were made from."""
    found: set[Key] = set()
    waiting = [key for key in start if key in manifests]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            inputs = manifests[key].inputs.values()
            waiting += [(ref.kind, ref.id) for ref in inputs if (ref.kind, ref.id) in manifests]
    return found


def _all(store: Store, without_runs: frozenset[str]) -> Iterator[tuple[Key, str]]:
    for path in in_order(store.root / "runs", "*/*.json"):
        if path.parent.name not in without_runs:
            yield from _of_record(_read(path), f"run {path.parent.name}")
    for path in in_order(store.root / "runs", "*/parts/*.json"):
        run = path.parent.parent.name
        if run not in without_runs:
            yield from _of_record(_read(path), f"run {run}, {path.stem}")
    for path in in_order(store.root / "refs", "*/*.json"):
        yield from _of_record(_read(path), f"champion {path.parent.name}")
    for key in sorted(pins.kept(store.root)):
        yield key, "pinned"
    for key in sorted(pins.pinned(store.root)):
        yield key, "in use"


def _read(path: StorePath) -> Any:
    """A record; None for one that was taken back since it was listed."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Damaged(
            f"{path}: not readable ({error}), so that nobody knows what it keeps; nothing was "
            "deleted; restore it or remove it"
        ) from error


def _of_record(value: Any, why: str) -> Iterator[tuple[Key, str]]:
    """The ids in a record of a run or a ref, wherever they stand in it."""
    if isinstance(value, list):
        for item in value:
            yield from _of_record(item, why)
    if not isinstance(value, dict):
        return
    kind, artifact_id = value.get("kind"), value.get("id")
    if isinstance(kind, str) and isinstance(artifact_id, str):
        yield (kind, artifact_id), why
    if isinstance(value.get("decision"), str):
        yield ("decision", value["decision"]), why
    if isinstance(value.get("verdicts"), str):
        yield ("verdicts", value["verdicts"]), why
    if isinstance(value.get("dataset"), str):
        yield ("dataset", value["dataset"].removeprefix("dataset ")), why
    for item in value.values():
        yield from _of_record(item, why)
