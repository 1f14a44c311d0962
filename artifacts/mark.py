"""The mark that makes a folder or a prefix a store, and what is refused to become one."""

import json
from pathlib import Path

from strop.artifacts import durable
from strop.artifacts.backends.location import StorePath
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.backends.probe import PROBES, require_conditions
from strop.artifacts.errors import Conflict, Damaged, StoreError, Unreachable

FORMAT = 1
MARK = "store.json"


def open_mark(root: StorePath) -> None:
    """Check that a store is at a place, and make one there when it is empty or absent."""
    if isinstance(root, ObjectPath):
        _open_objects(root)
    else:
        _open_folder(root)


def require_writable(root: StorePath) -> None:
    """Raise `StoreError` for a store that can only be read."""
    try:
        if isinstance(root, ObjectPath):
            require_conditions(root.bucket)
        else:
            durable.prove_writable(root / MARK)
    except OSError as error:
        reason = error.strerror or "access denied"
        raise StoreError(
            f"store {root}: cannot be written ({reason}), expected one that runs can write to"
        ) from error


def _open_folder(root: Path) -> None:
    mark = root / MARK
    if root.exists() and not root.is_dir():
        raise StoreError(f"store {root}: a file, expected a folder; choose another path")
    try:
        if mark.exists():
            _check_format(root, mark.read_bytes())
            return
        if _holds_other_files(root) and not mark.exists():
            raise StoreError(
                f"store {root}: a folder with other files in it, expected an empty "
                "folder or a strop store; choose another path"
            )
        root.mkdir(parents=True, exist_ok=True)
        _make(root)
    except OSError as error:
        raise StoreError(
            f"store {root}: cannot be written ({error.strerror}); choose another path"
        ) from error


def _open_objects(root: ObjectPath) -> None:
    data = None
    try:
        data = _read(root)
        if data is not None:
            _check_format(root, data)
        elif _holds_other_objects(root) and _read(root) is None:
            raise StoreError(
                f"store {root}: a prefix with other objects in it, expected an empty one or a "
                "strop store; choose another prefix"
            )
        require_conditions(root.bucket)
        if data is None:
            _make(root)
    except PermissionError as error:
        if data is None:
            raise StoreError(
                f"store {root}: access denied; look at the environment's credentials"
            ) from error
    except Unreachable as error:
        raise StoreError(f"store {root}: cannot be reached ({error})") from error


def _read(root: ObjectPath) -> bytes | None:
    try:
        return (root / MARK).read_bytes()
    except FileNotFoundError:
        return None


def _make(root: StorePath) -> None:
    mark = root / MARK
    try:
        durable.create(mark, json.dumps({"strop_store": FORMAT}).encode())
    except Conflict:
        _check_format(root, mark.read_bytes())


def _holds_other_files(root: Path) -> bool:
    """Whether the folder holds more than a mark that another process may just be writing."""
    if not root.is_dir():
        return False
    return any(not path.name.startswith(f".{MARK}.") for path in root.iterdir())


def _holds_other_objects(root: ObjectPath) -> bool:
    """Whether the prefix holds more than what another process may just be probing with."""
    return any(name != PROBES for name in root.bucket.children(""))


def _check_format(root: StorePath, data: bytes) -> None:
    try:
        found = json.loads(data)["strop_store"]
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{root / MARK}: not the mark of a strop store") from error
    if found != FORMAT:
        raise StoreError(
            f"store {root}: format {found}, this strop reads format {FORMAT}; update strop"
        )
