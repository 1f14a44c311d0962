"""What is left of an artifact whose content had to be erased: that it was, and what replaces it."""

import json
from pathlib import Path
from typing import Any

from strop.artifacts.errors import StoreError

TOMBSTONE = "purged.json"


def tombstone(home: Path) -> dict[str, Any] | None:
    """What the tombstone in an artifact's folder says, if there is one."""
    path = home / TOMBSTONE
    if not path.exists():
        return None
    values: dict[str, Any] = json.loads(path.read_bytes())
    return values


def absence(home: Path, root: Path) -> str:
    """Why an artifact is not there."""
    found = tombstone(home)
    return f"not in the store {root}" if found is None else _told(found)


def refuse_purged(home: Path, what: str) -> None:
    """Raise `StoreError` rather than let a stage make again what was erased."""
    found = tombstone(home)
    if found is not None:
        raise StoreError(f"{what}: {_told(found)}")


def purged_digests(root: Path) -> dict[tuple[str, str], str]:
    """The content digests that erased artifacts had."""
    paths = (root / "objects").glob(f"*/*/{TOMBSTONE}")
    return {
        (path.parent.parent.name, path.parent.name): json.loads(path.read_bytes())["digest"]
        for path in paths
    }


def _told(found: dict[str, Any]) -> str:
    after = found["replaced_by"]
    way = (
        f"use {after['kind']} {after['id']} instead"
        if after
        else "start a new run over the data set that replaces its own"
    )
    return f"was erased on {found['purged'][:10]}, since it held a passage that had to go; {way}"
