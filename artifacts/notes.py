"""What became known of an artifact after it was made; the artifact itself never changes."""

import json
from typing import Any

from strop.artifacts import durable
from strop.artifacts.backends.location import StorePath
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store


def notes(store: Store, ref: ArtifactRef) -> list[dict[str, Any]]:
    """Every note about an artifact, oldest first."""
    try:
        return _read(_path(store, ref).read_bytes())
    except FileNotFoundError:
        return []


def add_note(store: Store, ref: ArtifactRef, note: dict[str, Any]) -> None:
    """Add a note, unless it is there already."""
    durable.amend(_path(store, ref), lambda data: _with(_read(data), note))


def _path(store: Store, ref: ArtifactRef) -> StorePath:
    return store.root / "notes" / ref.kind / f"{ref.id}.json"


def _read(data: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(data or b"[]")
    return found


def _with(found: list[dict[str, Any]], note: dict[str, Any]) -> bytes | None:
    if note in found:
        return None
    return json.dumps([*found, note], indent=1, ensure_ascii=False).encode()
