"""Writes that survive a crash, whole or not at all, in a folder or on an object store."""

import os
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from strop.artifacts.backends.bucket import ABSENT
from strop.artifacts.backends.location import StorePath
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.errors import Conflict

Change: TypeAlias = Callable[[bytes], bytes | None]
"""What a file's content becomes; None where it stays as it is."""


def make_folder(folder: Path) -> None:
    """Make a folder that must be new, though others may remove its empty parents meanwhile."""
    for _ in range(100):
        with suppress(FileNotFoundError):
            folder.mkdir(parents=True)
            return
    folder.mkdir(parents=True)


def sync_folder(folder: StorePath) -> None:
    """Make the entries of a folder durable."""
    if isinstance(folder, ObjectPath):
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make a file's bytes durable."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _write_beside(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def prove_writable(path: Path) -> None:
    """Write beside a file and take it back; raises `OSError` where nothing can be written."""
    _write_beside(path, b"").unlink()


def create(path: StorePath, data: bytes) -> None:
    """Create a file whole; raises `Conflict` when it exists already."""
    if isinstance(path, ObjectPath):
        path.bucket.write(path.key, data, seen=ABSENT)
        return
    temporary = _write_beside(path, data)
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise Conflict(f"{path} exists already") from error
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def replace(path: StorePath, data: bytes) -> None:
    """Write a file whole in place of an older one."""
    if isinstance(path, ObjectPath):
        path.bucket.write(path.key, data)
        return
    temporary = _write_beside(path, data)
    try:
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def amend(path: StorePath, change: Change) -> None:
    """Write a file anew from what it holds, which is nothing where it is absent.

    In a folder the caller sees to it that nobody else writes. On an object store, where a write
    may come late, raises `Conflict` when somebody did since the file was read.
    """
    try:
        data, seen = (
            path.bucket.read(path.key) if isinstance(path, ObjectPath) else (path.read_bytes(), "")
        )
    except FileNotFoundError:
        data, seen = b"", ABSENT
    after = change(data)
    if after is None:
        return
    if isinstance(path, ObjectPath):
        path.bucket.write(path.key, after, seen=seen)
    else:
        replace(path, after)


def append(path: StorePath, size: int, data: bytes) -> None:
    """Write at the end of a file of so many bytes; what comes after those was half-written."""
    if isinstance(path, ObjectPath):
        amend(path, lambda found: found[:size] + data)
        return
    new = not path.exists()
    with path.open("xb" if new else "r+b") as file:
        file.seek(size)
        file.truncate()
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_folder(path.parent)


def renew(path: StorePath) -> None:
    """Give a file the present time; raises `FileNotFoundError` when it is gone."""
    if isinstance(path, ObjectPath):
        data, seen = path.bucket.read(path.key)
        path.bucket.write(path.key, data, seen=seen)
    else:
        os.utime(path)


def now(path: StorePath) -> float:
    """The time by the clock of whoever keeps a file: hosts that share it need not agree on theirs.

    In a folder a file is written for that beside it, for a server's clock is seen nowhere else.
    """
    if isinstance(path, ObjectPath):
        return path.bucket.now()
    probe = _write_beside(path, b"")
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def age(path: StorePath) -> float:
    """Seconds since a file, or the newest below a folder in a bucket, was written.

    By the server's clock in a bucket, else by this host's. Raises `FileNotFoundError`.
    """
    now = path.bucket.now() if isinstance(path, ObjectPath) else time.time()
    return now - path.stat().st_mtime


def idle(path: StorePath) -> float:
    """Seconds since something in a folder, or a file, was last written; 0 where it vanished."""
    try:
        if isinstance(path, ObjectPath):
            return age(path)
        times = [item.lstat().st_mtime for item in (path, *path.rglob("*"))]
    except FileNotFoundError:
        return 0.0
    return time.time() - max(times)


def remove_tree(folder: StorePath) -> None:
    """Delete a folder as far as it can be."""
    if isinstance(folder, ObjectPath):
        with suppress(OSError):
            folder.remove_tree()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def discard(path: StorePath, trash: StorePath) -> None:
    """Take a file or folder away: at once by a rename, or where there is none by deleting it."""
    if isinstance(path, ObjectPath):
        path.bucket.delete(path.key)
        path.remove_tree()
    elif isinstance(trash, ObjectPath):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            path.rename(trash)
