"""One spelling for every value, so that equal values have equal digests."""

import hashlib
import json
from typing import Any

from strop.artifacts.backends.location import StorePath
from strop.artifacts.backends.object_path import ObjectPath


def canonical_bytes(value: Any) -> bytes:
    """JSON with sorted keys, no spaces and no NaN, as UTF-8."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def digest(value: Any) -> str:
    """The SHA-256 of a JSON value's canonical bytes, in hex."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def file_digest(path: StorePath) -> str:
    """The SHA-256 of a file's bytes, in hex, read in chunks."""
    if isinstance(path, ObjectPath):
        return path.sha256()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(sha256_by_path: dict[str, str]) -> str:
    """The digest of a folder: over the sorted relative paths and the digests of their files."""
    return digest(sorted(sha256_by_path.items()))
