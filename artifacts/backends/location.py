"""From what people write after ``--store`` to the place itself."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

from strop.artifacts.backends.bucket import SCHEMES, Bucket
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.errors import StoreError

StorePath: TypeAlias = Path | ObjectPath
"""A file or folder of a store, wherever that lies."""
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(.*)", re.DOTALL)
"""A drive's letter on Windows is one letter. A third slash, as before no bucket, is the rest's."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
PREFIX = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._=-]*")


def store_path(location: str | Path | ObjectPath) -> StorePath:
    """The place that a location names; raises `StoreError` for a location that is none.

    A location with one slash after its scheme is one that went through a path.
    """
    if isinstance(location, ObjectPath):
        return location
    match = URL.fullmatch(str(location))
    if match is None:
        return Path(location).expanduser().absolute()
    scheme, rest = match[1].lower(), match[2].rstrip("/")
    if scheme not in SCHEMES:
        raise StoreError(
            f"store {scheme}://…: unknown; expected a folder, or one of "
            f"{', '.join(f'{item}://' for item in SCHEMES)}"
        )
    name, *prefix = rest.split("/")
    if not NAME.fullmatch(name) or not all(PREFIX.fullmatch(part) for part in prefix):
        raise StoreError(
            f"store {scheme}://…: expected {scheme}://bucket/prefix, names of letters, digits, "
            "'.', '_' and '-'; credentials come from the environment, never from the address"
        )
    return ObjectPath(Bucket(f"{scheme}://{rest}"))


def matching(folder: StorePath, pattern: str) -> Iterator[StorePath]:
    """What is below a folder and matches, in no order; what others remove meanwhile is left out.

    Raises `PermissionError` for a folder that cannot be read: nobody may take for unused what is
    only spoken of in there. `pathlib.Path.glob` is silent about that one, and fails at the other.
    """
    if isinstance(folder, ObjectPath):
        yield from folder.glob(pattern)
    else:
        yield from paths_below(folder, pattern)


def in_order(folder: StorePath, pattern: str) -> list[StorePath]:
    """The same, sorted."""
    if isinstance(folder, ObjectPath):
        return [*sorted(folder.glob(pattern))]
    return [*sorted(paths_below(folder, pattern))]


def paths_below(folder: Path, pattern: str) -> Iterator[Path]:
    """The same of a folder of this host."""
    first, _, rest = pattern.partition("/")
    for path in _children(folder, first):
        if rest:
            yield from paths_below(path, rest)
        else:
            yield path


def _children(folder: Path, name: str) -> list[Path]:
    if not set(name) & set("*?["):
        path = folder / name
        return [path] if path.exists() else []
    with suppress(FileNotFoundError, NotADirectoryError):
        return [path for path in folder.iterdir() if fnmatchcase(path.name, name)]
    return []


def cache_folder() -> Path:
    """Where copies of files on object stores are kept: ``$STROP_CACHE``, or the user's cache."""
    configured = os.environ.get("STROP_CACHE")
    if configured:
        return Path(configured).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("strop") / "stores"
