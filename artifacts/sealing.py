"""The files of a finished attempt: durable, and listed with their digests."""

from contextlib import suppress
from pathlib import Path

from strop.artifacts import durable, tables
from strop.artifacts.canonical import file_digest
from strop.artifacts.manifest import FileEntry


def seal(folder: Path) -> dict[str, FileEntry]:
    """Make every file of an attempt durable, as open to others as its folder, and list them."""
    entries = {}
    access = folder.stat().st_mode & 0o666
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with suppress(OSError):  # safetensors keeps its files from all but their owner
            path.chmod(access)
        durable.sync_file(path)
        rows = tables.count_rows(path) if path.suffix == ".parquet" else None
        name = path.relative_to(folder).as_posix()
        entries[name] = FileEntry(file_digest(path), path.stat().st_size, rows)
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir()), folder.parent]:
        durable.sync_folder(path)
    return entries
