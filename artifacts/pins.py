"""What processes use right now, and what people keep, so that garbage collection leaves it."""

import atexit
import errno
import json
import os
import secrets
import shutil
import socket
import threading
import time
from dataclasses import asdict
from pathlib import Path

from strop.artifacts import durable
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

_own: dict[tuple[Path, int], Path] = {}
_turn = threading.Lock()


def pin(root: Path, kind: str, artifact_id: str) -> None:
    """Pin an id for as long as this process lives.

    Called before the artifact is looked for or made: whoever deletes reads the pins after it has
    hidden the manifest, so one of the two sees the other. In a store that cannot be written
    nothing can be deleted either, and no pin is needed.
    """
    try:
        path = _folder(root) / kind / artifact_id
        if path.exists():
            return
        path.parent.mkdir(exist_ok=True)
        path.touch()
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise


def keep(root: Path, kind: str, artifact_id: str, reason: str) -> None:
    """Pin an artifact until `let_go`, whoever lives; a second time replaces the reason."""
    durable.replace(root / "pins" / KEPT / kind / artifact_id, reason.encode())


def let_go(root: Path, kind: str, artifact_id: str) -> bool:
    """Take a person's pin off; whether there was one."""
    path = root / "pins" / KEPT / kind / artifact_id
    existed = path.exists()
    path.unlink(missing_ok=True)
    return existed


def kept(root: Path) -> dict[Key, str]:
    """What people pinned, with their reasons."""
    paths = (root / "pins" / KEPT).glob("*/*")
    return {
        (path.parent.name, path.name): path.read_text(encoding="utf-8")
        for path in sorted(paths)
        if not path.name.startswith(".")
    }


def pinned(root: Path) -> set[Key]:
    """Every id that a live process has pinned."""
    found = set()
    for folder in _folders(root):
        if not _dead(folder):
            found |= {(path.parent.name, path.name) for path in folder.glob("*/*")}
    return found


def forget_dead(root: Path) -> None:
    """Remove the pins of processes that are gone."""
    for folder in _folders(root):
        if _dead(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _folders(root: Path) -> list[Path]:
    folder = root / "pins"
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name != KEPT)


def _dead(folder: Path) -> bool:
    path = folder / "holder.json"
    try:
        holder, seen = Holder(**json.loads(path.read_bytes())), folder.stat().st_mtime
    except FileNotFoundError:
        return _age(folder) > UNFINISHED_SECONDS
    except (ValueError, TypeError) as error:
        raise Damaged(f"{path}: does not say whose pins these are; remove {folder}") from error
    if holder.host == socket.gethostname():
        return not holder.lives()
    newest = max([seen, *(item.stat().st_mtime for item in folder.glob("*"))])
    return time.time() - newest > FOREIGN_SECONDS


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _folder(root: Path) -> Path:
    """This process's folder of pins in a store; made at its first pin, gone at its end."""
    key = (root, os.getpid())
    with _turn:
        found = _own.get(key)
        if found is not None and found.exists():
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
            shutil.rmtree(folder, ignore_errors=True)
