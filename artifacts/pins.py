"""What processes use right now, and what people keep, so that garbage collection leaves it."""

import atexit
import errno
import json
import os
import secrets
import threading
from contextlib import suppress
from dataclasses import asdict

from strop.artifacts import durable
from strop.artifacts.backends.location import StorePath, in_order, matching
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.errors import Damaged
from strop.artifacts.leases import Holder, this_process

Key = tuple[str, str]
"""Kind and id."""
KEPT = "kept"
"""The folder of what people pinned; the others are named after processes."""
FOREIGN_SECONDS = 7 * 86400.0
"""So long pins of another host count after its process was last heard of: nobody can ask it."""
UNFINISHED_SECONDS = 3600.0
"""So long a folder counts in which a process has not yet said who it is."""
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}

_own: dict[tuple[StorePath, int], StorePath] = {}
_turn = threading.Lock()


def pin(root: StorePath, kind: str, artifact_id: str) -> None:
    """Pin an id for as long as this process lives.

    Called before the artifact is looked for or made: whoever deletes reads the pins after it has
    hidden the manifest, so one of the two sees the other. In a store that cannot be written
    nothing can be deleted either, and no pin is needed.
    """
    try:
        path = _folder(root) / kind / artifact_id
        if isinstance(path, ObjectPath):
            path.write_bytes(b"")
            return
        if path.exists():
            return
        path.parent.mkdir(exist_ok=True)
        path.touch()
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise


def unpin(root: StorePath, kind: str, artifact_id: str) -> None:
    """Take this process's pin off before its end."""
    folder = _own.get((root, os.getpid()))
    if folder is not None:
        (folder / kind / artifact_id).unlink(missing_ok=True)


def keep(root: StorePath, kind: str, artifact_id: str, reason: str) -> None:
    """Pin an artifact until `let_go`, whoever lives; a second time replaces the reason."""
    durable.replace(root / "pins" / KEPT / kind / artifact_id, reason.encode())


def let_go(root: StorePath, kind: str, artifact_id: str) -> bool:
    """Take a person's pin off; whether there was one."""
    path = root / "pins" / KEPT / kind / artifact_id
    existed = path.exists()
    path.unlink(missing_ok=True)
    return existed


def kept(root: StorePath) -> dict[Key, str]:
    """What people pinned, with their reasons."""
    found = {}
    for path in in_order(root / "pins" / KEPT, "*/*"):
        if not path.name.startswith("."):
            with suppress(FileNotFoundError):  # taken off since it was listed
                found[path.parent.name, path.name] = path.read_text(encoding="utf-8")
    return found


def pinned(root: StorePath) -> set[Key]:
    """Every id that a live process has pinned."""
    found = set()
    for folder in _folders(root):
        if not _dead(folder):
            found |= {(path.parent.name, path.name) for path in matching(folder, "*/*")}
    return found


def user_of(root: StorePath, kind: str, artifact_id: str) -> str | None:
    """Which living process pins an artifact, and what to do about it; None where none does."""
    for folder in _folders(root):
        if (folder / kind / artifact_id).exists() and not _dead(folder):
            holder = Holder(**json.loads((folder / "holder.json").read_bytes()))
            gone = "" if holder.here else f"; if it is gone, remove {folder}"
            used = f"process {holder.pid} on {holder.name} uses it"
            return f"{used}; stop it, or wait for it{gone}"
    return None


def forget_dead(root: StorePath) -> None:
    """Remove the pins of processes that are gone."""
    for folder in _folders(root):
        if _dead(folder):
            durable.remove_tree(folder)


def _folders(root: StorePath) -> list[StorePath]:
    folder = root / "pins"
    if isinstance(folder, ObjectPath):
        return [path for path in folder.iterdir() if path.name != KEPT]
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name != KEPT)


def _dead(folder: StorePath) -> bool:
    path = folder / "holder.json"
    try:
        holder, age = Holder(**json.loads(path.read_bytes())), durable.age(folder)
    except FileNotFoundError:
        return _age(folder) > UNFINISHED_SECONDS
    except (ValueError, TypeError) as error:
        raise Damaged(f"{path}: does not say whose pins these are; remove {folder}") from error
    if holder.here:
        return not holder.lives()
    if not isinstance(folder, ObjectPath):
        age = min([age, *(durable.age(item) for item in folder.glob("*"))])
    return age > FOREIGN_SECONDS


def _age(folder: StorePath) -> float:
    try:
        return durable.age(folder)
    except FileNotFoundError:
        return float("inf")


def _folder(root: StorePath) -> StorePath:
    """This process's folder of pins in a store; made at its first pin, gone at its end."""
    key = (root, os.getpid())
    with _turn:
        found = _own.get(key)
        if found is not None and (isinstance(found, ObjectPath) or found.exists()):
            return found
        holder = this_process()
        folder = root / "pins" / f"{holder.pid}-{secrets.token_hex(6)}"
        durable.create(folder / "holder.json", json.dumps(asdict(holder)).encode())
        if not _own:
            atexit.register(_release)
        _own[key] = folder
        return folder


def _release() -> None:
    """Remove this process's pins; a child that was forked leaves its parent's alone."""
    for (_, pid), folder in _own.items():
        if pid == os.getpid():
            durable.remove_tree(folder)
