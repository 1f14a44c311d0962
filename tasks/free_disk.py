"""Whether there is disk enough for a cluster's work, on whichever host this runs."""

import shutil
from collections.abc import Mapping
from pathlib import Path

DISK_BYTES = 1 << 30
"""Free disk at least, for the store and for Ray's own files."""


def disk_shortage(folders: Mapping[str, Path]) -> str | None:
    """Which of these folders, by what they are for, has too little free disk; None where none."""
    for what, folder in folders.items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        if free < DISK_BYTES:
            return (
                f"{folder}, the disk of {what}, has {in_mb(free)} free, expected "
                f"{in_mb(DISK_BYTES)}; free some space"
            )
    return None


def in_mb(size: int) -> str:
    """A number of bytes as people read it."""
    return f"{size / (1 << 20):,.0f} MiB"
