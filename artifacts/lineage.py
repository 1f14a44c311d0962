"""What an artifact was made from, and what was made from it."""

from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store


def ancestors(store: Store, manifest: Manifest) -> list[tuple[int, str, Manifest]]:
    """The inputs, and theirs, as (depth, role, manifest) in depth-first order, each once."""
    by_id = {(item.kind, item.id): item for item in store.artifacts()}
    seen: set[tuple[str, str]] = set()
    found: list[tuple[int, str, Manifest]] = []

    def visit(item: Manifest, depth: int) -> None:
        for role, ref in item.inputs.items():
            parent = by_id.get((ref.kind, ref.id))
            if parent is None or (ref.kind, ref.id) in seen:
                continue
            seen.add((ref.kind, ref.id))
            found.append((depth, role, parent))
            visit(parent, depth + 1)

    visit(manifest, 1)
    return found


def children(store: Store, manifest: Manifest) -> list[Manifest]:
    """The artifacts that read this one."""
    return [
        item
        for item in store.artifacts()
        if any(ref.id == manifest.id and ref.kind == manifest.kind for ref in item.inputs.values())
    ]
