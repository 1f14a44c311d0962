"""Writes to a local folder that survive a crash: whole or not at all."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from strop.artifacts.errors import Conflict


def make_folder(folder: Path) -> None:
    """Make a folder that must be new, though others may remove its empty parents meanwhile."""
    for _ in range(100):
        with suppress(FileNotFoundError):
            folder.mkdir(parents=True)
            return
    folder.mkdir(parents=True)


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable."""
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


def create(path: Path, data: bytes) -> None:
    """Create a file whole; raises `Conflict` when it exists already."""
    temporary = _write_beside(path, data)
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise Conflict(f"{path} exists already") from error
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def replace(path: Path, data: bytes) -> None:
    """Write a file whole in place of an older one."""
    temporary = _write_beside(path, data)
    try:
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
