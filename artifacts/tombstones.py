"""What is left of an artifact whose content had to be erased: that it was, and what replaces it."""

import json
from typing import Any

from strop.artifacts.backends.location import StorePath, matching
from strop.artifacts.errors import StoreError

TOMBSTONE = "purged.json"


def tombstone(home: StorePath) -> dict[str, Any] | None:
    """What the tombstone in an artifact's folder says, if there is one."""
    try:
        values: dict[str, Any] = json.loads((home / TOMBSTONE).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return values


def absence(home: StorePath, location: str) -> str:
    """Why an artifact is not there."""
    found = tombstone(home)
    return f"not in the store {location}" if found is None else _told(found)


def refuse_purged(home: StorePath, what: str) -> None:
    """Raise `StoreError` rather than let a stage make again what was erased."""
    found = tombstone(home)
    if found is not None:
        raise StoreError(f"{what}: {_told(found)}")


def purged_digests(root: StorePath) -> dict[tuple[str, str], str]:
    """The content digests that erased artifacts had."""
    paths = matching(root / "objects", f"*/*/{TOMBSTONE}")
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
