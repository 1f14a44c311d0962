"""What an artifact was made from, and what was made from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strop.artifacts.inspection.catalog import Entry, read_catalog
from strop.artifacts.manifest import ArtifactRef, Manifest
from strop.artifacts.store import Store

Key = tuple[str, str]
"""Kind and id."""
Step = tuple[int, str, Entry]
"""Depth, the role of the edge that led there, and the artifact."""


@dataclass(frozen=True)
class Lineage:
    """An artifact between what it was made from and what was made from it.

    ``up`` and ``down`` are depth-first, each artifact once, at the first depth that reached it;
    ``edges`` are (input, role, artifact made from it) among all of them; ``missing`` are inputs
    that are not in the store any more, by the artifact that names them.
    """

    target: Entry
    up: list[Step]
    down: list[Step]
    edges: list[tuple[Key, str, Key]]
    missing: list[tuple[Key, str, ArtifactRef]]

    @property
    def entries(self) -> list[Entry]:
        """Every artifact of it: ancestors, the artifact itself, descendants."""
        return [
            *(entry for _, _, entry in self.up),
            self.target,
            *(entry for _, _, entry in self.down),
        ]


def lineage(entries: Sequence[Entry], target: Entry) -> Lineage:
    """The lineage of one artifact among these."""
    by_key = {_key(entry): entry for entry in entries}
    up = _walk(target, {key: _parents(entry, by_key) for key, entry in by_key.items()})
    down = _walk(target, _children(entries))
    members = {_key(entry): entry for _, _, entry in [*up, *down]} | {_key(target): target}
    edges, missing = [], []
    for key, entry in members.items():
        for role, ref in entry.inputs.items():
            parent = by_key.get((ref.kind, ref.id))
            if parent is None:
                missing.append((key, role, ref))
            elif _key(parent) in members:
                edges.append((_key(parent), role, key))
    return Lineage(target, up, down, edges, missing)


def ancestors(store: Store, manifest: Manifest) -> list[Step]:
    """The inputs, and theirs, as (depth, role, artifact) in depth-first order, each once."""
    return lineage(read_catalog(store).entries, Entry.of(manifest)).up


def children(store: Store, manifest: Manifest) -> list[Entry]:
    """The artifacts that read this one."""
    found = lineage(read_catalog(store).entries, Entry.of(manifest)).down
    key = (manifest.kind, manifest.id)
    return [
        entry
        for _, _, entry in found
        if any((ref.kind, ref.id) == key for ref in entry.inputs.values())
    ]


def _key(entry: Entry) -> Key:
    return (entry.kind, entry.id)


def _parents(entry: Entry, by_key: Mapping[Key, Entry]) -> list[tuple[str, Entry]]:
    found = [(role, by_key.get((ref.kind, ref.id))) for role, ref in entry.inputs.items()]
    return [(role, parent) for role, parent in found if parent is not None]


def _children(entries: Sequence[Entry]) -> dict[Key, list[tuple[str, Entry]]]:
    found: dict[Key, list[tuple[str, Entry]]] = {}
    for entry in entries:
        for role, ref in entry.inputs.items():
            found.setdefault((ref.kind, ref.id), []).append((role, entry))
    return found


def _walk(start: Entry, near: Mapping[Key, list[tuple[str, Entry]]]) -> list[Step]:
    """Depth-first from an artifact, each other one once; without recursion, for long histories."""
    seen = {_key(start)}
    found: list[Step] = []
    waiting = [(1, role, entry) for role, entry in reversed(near.get(_key(start), []))]
    while waiting:
        depth, role, entry = waiting.pop()
        if _key(entry) in seen:
            continue
        seen.add(_key(entry))
        found.append((depth, role, entry))
        nexts = near.get(_key(entry), [])
        waiting += [(depth + 1, name, item) for name, item in reversed(nexts)]
    return found
