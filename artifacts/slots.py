"""An artifact's place for its manifest: empty, taken, or hidden by a garbage collection.

In a folder a manifest is hidden and brought back by renames. An object store has none, so there
the object's content tells its state, and every change of it is a compare-and-swap: nothing is ever
deleted that somebody could just be bringing back. A place that was emptied keeps a few bytes.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from strop.artifacts import durable
from strop.artifacts.backends.bucket import ABSENT, About
from strop.artifacts.backends.location import StorePath, matching
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.errors import Conflict

MANIFEST, DOOMED = "manifest.json", "manifest.doomed"
"""A manifest, and in a folder what a garbage collection renames it to."""
HIDDEN, EMPTY = b"hidden\n", b"empty\n"
"""How an object begins that is a hidden manifest, or was one."""


def read(home: StorePath) -> bytes | None:
    """The manifest; None where there is none, or a hidden one."""
    path = home / MANIFEST
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return data if not isinstance(path, ObjectPath) or _shown(data) else None


def claim(home: StorePath) -> bytes | None:
    """The manifest, brought back if it was hidden; None where there is none."""
    if isinstance(home, ObjectPath):
        with suppress(FileNotFoundError):
            while _hidden(data := (home / MANIFEST).read_bytes()):
                bring_back(home)
            return data if _shown(data) else None
        return None
    bring_back(home)
    while (found := read(home)) is None and (home / DOOMED).exists():  # hidden once more
        bring_back(home)
    return found or read(home)  # or brought back just now by who hid it


def bring_back(home: StorePath) -> None:
    """Show a manifest again that was hidden, unless it is gone for good by now."""
    if isinstance(home, ObjectPath):
        _change(home / MANIFEST, lambda data: data[len(HIDDEN) :] if _hidden(data) else None)
    elif not (home / MANIFEST).exists():
        with suppress(FileNotFoundError):
            (home / DOOMED).rename(home / MANIFEST)


def hide(home: StorePath) -> bool:
    """Hide a manifest durably; whether there was one."""
    if isinstance(home, ObjectPath):
        return _change(home / MANIFEST, lambda data: HIDDEN + data if _shown(data) else None)
    try:
        (home / MANIFEST).rename(home / DOOMED)
    except FileNotFoundError:
        return False
    durable.sync_folder(home)  # files must not be gone after a power cut while the manifest is not
    return True


def remove_hidden(home: StorePath, trash: StorePath) -> bool:
    """Empty a place whose manifest is hidden; False when somebody brought that back."""
    if isinstance(home, ObjectPath):
        return _change(home / MANIFEST, lambda data: EMPTY if _hidden(data) else None)
    try:
        (home / DOOMED).rename(Path(str(trash)))
    except FileNotFoundError:
        return False
    durable.sync_folder(home)
    return True


def remove(home: StorePath) -> None:
    """Empty a place, whatever is in it."""
    path = home / MANIFEST
    if isinstance(path, ObjectPath):
        with suppress(FileNotFoundError):
            while path.read_bytes() != EMPTY:
                _change(path, lambda data: EMPTY)
        return
    path.unlink(missing_ok=True)
    durable.sync_folder(home)


def put(home: StorePath, data: bytes) -> None:
    """Create the manifest if the place is empty; raises `Conflict` otherwise."""
    path = home / MANIFEST
    if not isinstance(path, ObjectPath):
        durable.create(path, data)
        return
    try:
        path.bucket.write(path.key, data, seen=ABSENT)
    except Conflict:
        bring_back(home)
        if not _change(path, lambda found: data if found == EMPTY else None):
            raise


def hidden(objects: StorePath) -> Iterator[StorePath]:
    """The homes of manifests that a garbage collection left hidden."""
    if isinstance(objects, ObjectPath):
        keys = [path.key for path in paths(objects) if isinstance(path, ObjectPath)]
        for key, data in objects.bucket.read_many(keys):
            if data is not None and _hidden(data):
                yield ObjectPath(objects.bucket, key).parent
    else:
        yield from (path.parent for path in matching(objects, f"*/*/{DOOMED}"))


def paths(objects: StorePath, kind: str = "*") -> Iterable[StorePath]:
    """Where the manifests are, in no order."""
    if not isinstance(objects, ObjectPath):
        return matching(objects, f"{kind}/*/{MANIFEST}")
    return [path for path, _ in listed(objects, kind)]


def listed(objects: ObjectPath, kind: str = "*") -> Iterator[tuple[ObjectPath, About]]:
    """The manifests in a bucket, with what the list tells of them."""
    for path, about in (objects if kind == "*" else objects / kind).files():
        if len(path.parts) == 4 and path.name == MANIFEST and about.size != len(EMPTY):
            yield path, about


def read_all(found: Iterable[StorePath]) -> Iterator[tuple[StorePath, bytes]]:
    """The manifests at these paths, without hidden ones and those that are deleted meanwhile."""
    objects: list[ObjectPath] = []
    for path in found:
        if isinstance(path, ObjectPath):
            objects.append(path)
            continue
        with suppress(FileNotFoundError):
            yield path, path.read_bytes()
    if objects:
        by_key = {path.key: path for path in objects}
        for key, data in objects[0].bucket.read_many(list(by_key)):
            if data is not None and _shown(data):
                yield by_key[key], data


def _shown(data: bytes) -> bool:
    return not data.startswith((HIDDEN, EMPTY))


def _hidden(data: bytes) -> bool:
    return data.startswith(HIDDEN)


def _change(path: ObjectPath, change: durable.Change) -> bool:
    """Swap an object's content for another; False where ``change`` gives None or others were."""
    try:
        data, seen = path.bucket.read(path.key)
        after = change(data)
        if after is None:
            return False
        path.bucket.write(path.key, after, seen=seen)
    except (FileNotFoundError, Conflict):
        return False
    return True
