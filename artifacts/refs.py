"""Names that move: each move is a new, numbered file, so a move is a compare-and-swap.

All refs are champions, and so they are called where something is wrong with one.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from strop.artifacts import durable
from strop.artifacts.backends.location import StorePath, in_order, matching
from strop.artifacts.errors import Conflict, NotFound, StoreError
from strop.artifacts.store import Store

WHAT = "champion"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Ref:
    """A ref's value after its ``generation``-th move; generation 0 is a ref never set."""

    name: str
    generation: int
    value: dict[str, Any] | None


def check_name(name: str, what: str) -> str:
    """The name itself when it is safe as a folder name; raises `StoreError` otherwise."""
    if not NAME.fullmatch(name):
        raise StoreError(
            f"{what} {name!r}: expected lower-case letters, digits, '.', '_' or '-', at most 64"
        )
    return name


def history(store: Store, name: str) -> list[Ref]:
    """Every value a ref has had, oldest first."""
    return [_ref(name, path) for path in _moves(store, name)]


def read(store: Store, name: str) -> Ref:
    """A ref's current value."""
    moves = _moves(store, name)
    return _ref(name, moves[-1]) if moves else Ref(name, 0, None)


def _moves(store: Store, name: str) -> list[StorePath]:
    return in_order(store.root / "refs" / check_name(name, WHAT), "[0-9]*.json")


def _ref(name: str, path: StorePath) -> Ref:
    return Ref(name, int(path.stem), json.loads(path.read_bytes()))


def move(store: Store, seen: Ref, value: dict[str, Any]) -> Ref:
    """Set a ref to a new value if nobody moved it since ``seen``; raises `Conflict` otherwise."""
    generation = seen.generation + 1
    stamped = {**value, "moved": datetime.now(UTC).isoformat(timespec="seconds")}
    path = store.root / "refs" / check_name(seen.name, WHAT) / f"{generation:08d}.json"
    try:
        durable.create(path, json.dumps(stamped, indent=1, sort_keys=True).encode())
    except Conflict as error:
        raise Conflict(
            f"champion {seen.name}: moved by someone else since move {seen.generation}; "
            f"look at it (strop champion show {seen.name}) and decide again"
        ) from error
    return Ref(seen.name, generation, stamped)


def names(store: Store) -> list[str]:
    """The names of all refs that were ever set."""
    return sorted(path.parent.name for path in matching(store.root / "refs", "*/00000001.json"))


def roll_back(store: Store, name: str, *, to: int | None = None) -> Ref:
    """Give a ref the value it had before, or after its move ``to``, as one more move.

    A value that was rolled back to counts as the old one, so that a second rollback goes further
    back. Raises `NotFound` where there is nothing to go back to.
    """
    moves = history(store, name)
    if not moves:
        raise NotFound(f"champion {name}: was never set in the store {store.location}")
    now = _first_of(moves[-1])
    target = now - 1 if to is None else to
    if to is None and target < 1:
        raise NotFound(f"champion {name}: is still the first; there is none before it")
    if not 1 <= target <= len(moves):
        raise NotFound(f"champion {name}: has no move {target}; its moves are 1 to {len(moves)}")
    origin = _first_of(moves[target - 1])
    if origin == now:
        raise StoreError(f"champion {name}: is what move {target} made it already")
    value = {**(moves[origin - 1].value or {}), "restored": origin}
    return move(store, moves[-1], value)


def _first_of(ref: Ref) -> int:
    """The move that set a ref's value first; a rollback points at it."""
    return int((ref.value or {}).get("restored", ref.generation))
