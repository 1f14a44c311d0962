"""Whether an artifact's files are all there in full, told without reading them."""

from pathlib import Path

from strop.artifacts.backends.location import StorePath
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.errors import Damaged
from strop.artifacts.manifest import Manifest


def check_sizes(manifest: Manifest, folder: StorePath, places: dict[str, StorePath]) -> None:
    """Raise `Damaged` naming a file that is missing or has another size than its manifest says.

    ``folder`` is the attempt's, and ``places`` are where its files lie, by name.
    """
    found = _sizes(folder, places)
    for name, entry in manifest.files.items():
        size = found.get(name)
        if size != entry.bytes:
            told = "is missing" if size is None else f"has {size} bytes"
            raise Damaged(
                f"{manifest.kind} {manifest.id}: file {name} {told}, expected {entry.bytes} "
                f"bytes; delete {folder.parent} and run again"
            )


def _sizes(folder: StorePath, places: dict[str, StorePath]) -> dict[str, int]:
    """The bytes of every file that is there, by its name; of a bucket, one list tells all."""
    if isinstance(folder, ObjectPath):
        return {str(path.relative_to(folder)): about.size for path, about in folder.files()}
    return {name: Path(path).stat().st_size for name, path in places.items() if path.exists()}
