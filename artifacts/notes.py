"""What became known of an artifact after it was made; the artifact itself never changes."""

import json
from typing import Any

from strop.artifacts import durable
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store


def notes(store: Store, ref: ArtifactRef) -> list[dict[str, Any]]:
    """Every note about an artifact, oldest first."""
    path = store.root / "notes" / ref.kind / f"{ref.id}.json"
    if not path.exists():
        return []
    found: list[dict[str, Any]] = json.loads(path.read_bytes())
    return found


def add_note(store: Store, ref: ArtifactRef, note: dict[str, Any]) -> None:
    """Add a note, unless it is there already."""
    found = notes(store, ref)
    if note not in found:
        path = store.root / "notes" / ref.kind / f"{ref.id}.json"
        data = json.dumps([*found, note], indent=1, ensure_ascii=False).encode()
        durable.replace(path, data)
