"""A catalogue of the store: rebuilt from the manifests whenever it differs, never the truth."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strop.artifacts import durable, slots
from strop.artifacts.backends.location import StorePath
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.errors import Damaged, StoreError
from strop.artifacts.manifest import ArtifactRef, Manifest
from strop.artifacts.store import Store

VERSION = 1
"""Raised when an entry's fields change, so that an older catalogue is built anew."""
Stamp = tuple[int | str, ...]
"""What tells one state of a manifest from another: a file's time, size and inode, or an ETag."""


@dataclass(frozen=True)
class Entry:
    """What lists and graphs need of a manifest."""

    kind: str
    id: str
    digest: str
    stage: str
    created: str
    seconds: float
    size: int
    rows: int
    inputs: dict[str, ArtifactRef]
    summary: dict[str, Any]

    @property
    def ref(self) -> ArtifactRef:
        """The ref of the artifact."""
        return ArtifactRef(self.kind, self.id, self.digest)

    @classmethod
    def of(cls, manifest: Manifest) -> "Entry":
        """The entry of a manifest."""
        return cls(
            kind=manifest.kind,
            id=manifest.id,
            digest=manifest.digest,
            stage=manifest.stage,
            created=manifest.created,
            seconds=manifest.seconds,
            size=manifest.size,
            rows=sum(entry.rows or 0 for entry in manifest.files.values()),
            inputs=manifest.inputs,
            summary=manifest.summary,
        )


@dataclass(frozen=True)
class Catalog:
    """Every artifact, oldest first, and why some manifests could not be read."""

    entries: list[Entry]
    damaged: dict[StorePath, str] = field(default_factory=dict)


def read_catalog(store: Store) -> Catalog:
    """What is in the store now; only manifests that are new since the last time are read."""
    path = store.local / "index" / "catalog.json"
    known = _known(path)
    found: dict[str, tuple[Stamp, Entry]] = {}
    damaged: dict[StorePath, str] = {}
    new: dict[StorePath, tuple[str, Stamp]] = {}
    objects = store.root / "objects"
    for key, stamp in _manifests(objects):
        seen = known.get(key)
        if seen is not None and seen[0] == stamp:
            found[key] = seen
        else:
            new[objects / key / slots.MANIFEST] = (key, stamp)
    for file, data in slots.read_all(new):
        key, stamp = new[file]
        try:
            found[key] = (stamp, Entry.of(Manifest.from_bytes(data, source=str(file))))
        except StoreError as error:
            damaged[file] = str(error)
    if found != known:
        _keep(path, found)
    entries = sorted((entry for _, entry in found.values()), key=_age)
    return Catalog(entries, damaged)


def find_entry(entries: list[Entry], ref: ArtifactRef) -> Entry | None:
    """The entry of a ref, whatever its content is now."""
    return next((item for item in entries if (item.kind, item.id) == (ref.kind, ref.id)), None)


def refuse_damaged(catalog: Catalog) -> None:
    """Raise `Damaged` with the first manifest that could not be read."""
    for problem in catalog.damaged.values():
        raise Damaged(problem)


def _age(entry: Entry) -> tuple[str, str, str]:
    return (entry.created, entry.kind, entry.id)


def _manifests(objects: StorePath) -> Iterator[tuple[str, Stamp]]:
    """The kind and id of every artifact with its manifest's stamp."""
    if isinstance(objects, ObjectPath):
        for path, about in slots.listed(objects):
            yield f"{path.parts[1]}/{path.parts[2]}", (about.etag, about.size)
        return
    if not objects.is_dir():
        return
    for kind in sorted(os.scandir(objects), key=lambda item: item.name):
        if not kind.is_dir(follow_symlinks=False):
            continue
        for item in os.scandir(kind.path):
            with suppress(FileNotFoundError, NotADirectoryError):
                stat = os.stat(f"{item.path}/manifest.json")  # noqa: PTH116 (10,000 of them)
                stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                yield f"{kind.name}/{item.name}", stamp


def _known(path: Path) -> dict[str, tuple[Stamp, Entry]]:
    """What the catalogue said last time; nothing where it is absent, older or no catalogue."""
    try:
        values = json.loads(path.read_bytes())
        if values["version"] != VERSION:
            return {}
        return {key: (_stamp(row[0]), _entry(row[1])) for key, row in values["entries"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return {}


def _stamp(values: list[int | str]) -> Stamp:
    return tuple(values)


def _entry(values: dict[str, Any]) -> Entry:
    inputs = {role: ArtifactRef(*ref) for role, ref in values.pop("inputs").items()}
    return Entry(inputs=inputs, **values)


def _keep(path: Path, found: dict[str, tuple[Stamp, Entry]]) -> None:
    """Write the catalogue, if the store can be written; it is only there to save time."""
    entries = {key: [stamp, _values(entry)] for key, (stamp, entry) in found.items()}
    data = json.dumps({"version": VERSION, "entries": entries}, ensure_ascii=False).encode()
    with suppress(OSError):
        durable.replace(path, data)


def _values(entry: Entry) -> dict[str, Any]:
    inputs = {role: [ref.kind, ref.id, ref.digest] for role, ref in entry.inputs.items()}
    return {**vars(entry), "inputs": inputs}
