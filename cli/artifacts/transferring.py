"""`strop artifacts export` and `import`: an artifact and its ancestors, between stores."""

from pathlib import Path

from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.artifacts.upkeep.transfer import export, take_in, verified
from strop.cli.artifacts.text import size_text
from strop.cli.output import print_json
from strop.pipeline.errors import counted


def export_artifact(store: Store, target: Manifest, folder: Path, *, json: bool) -> None:
    """Write an artifact and all it was made from to a folder."""
    written = export(store, target, folder)
    size = sum(item.size for item in written)
    if json:
        ids = [{"kind": item.kind, "id": item.id} for item in written]
        print_json({"folder": str(folder.absolute()), "artifacts": ids, "bytes": size})
        return
    print(
        f"{target.kind} {target.id} and {len(written) - 1:,} that it was made from → {folder} "
        f"({size_text(size)})"
    )


def import_artifact(location: str, folder: Path, *, json: bool) -> None:
    """Take in what an export wrote, and pin it."""
    exported = verified(folder)  # refused before there is a new store
    found = take_in(Store(location), exported)
    item = found.artifact
    if json:
        print_json({"kind": item.kind, "id": item.id, "new": found.new, "present": found.present})
        return
    print(
        f"{item.kind} {item.id}: {counted(found.new, 'artifacts')} imported, {found.present:,} "
        f"{'was' if found.present == 1 else 'were'} there; it is pinned, `strop artifacts unpin` "
        "lets gc take it"
    )
