"""An artifact with all it was made from, taken from one store to another and verified twice."""

import errno
import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strop.artifacts import pins
from strop.artifacts.canonical import file_digest
from strop.artifacts.errors import Conflict, Damaged, NotFound, StoreError
from strop.artifacts.manifest import Manifest, Recipe
from strop.artifacts.names import check_twins
from strop.artifacts.store import Store
from strop.artifacts.upkeep.plan import by_key
from strop.artifacts.verify import readable, verify

LABEL = "export.json"
FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Exported:
    """A folder that `export` wrote, by its name and as a store, and its artifacts in order."""

    source: Store
    name: str
    target: Manifest
    items: list[Manifest]


@dataclass(frozen=True)
class Imported:
    """The artifact that was asked for, and how many came along or were there already."""

    artifact: Manifest
    new: int
    present: int


def export(store: Store, target: Manifest, folder: Path) -> list[Manifest]:
    """Write an artifact and its ancestors to a folder, a store of its own; all of it or nothing.

    Raises `StoreError` for a folder that is taken, `NotFound` for an ancestor that is gone, and
    `Damaged` for files that are not what their manifests say.
    """
    _refuse_taken(folder)
    chosen = _with_ancestors(store, target)
    beside = folder.absolute().parent / f".{folder.name}.{secrets.token_hex(4)}.tmp"
    try:
        copy = Store(beside)
        for item in chosen:
            store.use(item.ref)
            _copy(store, item, copy)
        label = {"kind": target.kind, "id": target.id, "artifacts": len(chosen)}
        (beside / LABEL).write_text(json.dumps(label, indent=1), encoding="utf-8")
        shutil.rmtree(beside / "pins", ignore_errors=True)
        beside.replace(folder)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise StoreError(f"{folder}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return chosen


def verified(folder: Path) -> Exported:
    """What `export` wrote, parents first; raises `Damaged` when it is not what manifests say."""
    label = _label(folder)
    other = Store(folder)
    manifests, broken = readable(other)
    defects = broken + [item for _, found in verify(other, manifests, deep=True) for item in found]
    for defect in defects[:1]:
        raise Damaged(
            f"{folder}: {defect.kind} {defect.id}: {defect.problem}; nothing was imported; "
            "export it again"
        )
    target = by_key(manifests).get((label["kind"], label["id"]))
    if target is None:
        raise Damaged(f"{folder}: {label['kind']} {label['id']} is not in it; export it again")
    chosen = _with_ancestors(other, target)
    for item in chosen:
        check_twins(item.files, f"{folder}: {item.kind} {item.id}")
    return Exported(other, folder.name, target, chosen)


def take_in(store: Store, exported: Exported) -> Imported:
    """Copy what an export has and the store lacks, and pin the artifact: no run speaks of it.

    Raises `Conflict` where the store has other content under one of the ids.
    """
    target = exported.target
    new = [item for item in exported.items if not _present(store, item)]
    for item in new:
        _copy(exported.source, item, store)
    pins.keep(store.root, target.kind, target.id, f"imported from {exported.name}")
    return Imported(store.use(target.ref), len(new), len(exported.items) - len(new))


def _with_ancestors(store: Store, target: Manifest) -> list[Manifest]:
    """The artifact after everything that it was made from, parents first."""
    found: dict[tuple[str, str], Manifest] = {}
    waiting: list[tuple[Manifest, bool]] = [(target, False)]
    while waiting:
        item, parents_done = waiting.pop()
        key = (item.kind, item.id)
        if parents_done:
            found.setdefault(key, item)
        elif key not in found:
            waiting.append((item, True))
            waiting += [(store.manifest(ref), False) for ref in item.inputs.values()]
    return list(found.values())


def _copy(source: Store, item: Manifest, into: Store) -> None:
    recipe = Recipe(item.kind, item.stage, item.recipe, item.parameters, item.inputs)
    if recipe.id != item.id:
        raise Damaged(f"{item.kind} {item.id}: its recipe gives the id {recipe.id}")
    with into.attempt(recipe) as attempt:
        for name, entry in item.files.items():
            found, path = source.file(item, name), attempt.folder / name  # refuses names that leave
            path.parent.mkdir(parents=True, exist_ok=True)
            if not found.is_file():
                raise Damaged(
                    f"{item.kind} {item.id}: {name} is missing; see `strop artifacts verify`"
                )
            shutil.copyfile(found, path)
            if file_digest(path) != entry.sha256:
                raise Damaged(
                    f"{item.kind} {item.id}: {name} is not what its manifest says; see "
                    "`strop artifacts verify`"
                )
        made = into.adopt(attempt, item)
    if made.digest != item.digest:
        raise Conflict(f"{item.kind} {item.id}: was made here with other content just now")


def _present(store: Store, item: Manifest) -> bool:
    try:
        store.use(item.ref)
    except NotFound:
        return False
    except Damaged as error:
        raise Conflict(
            f"{item.kind} {item.id}: the store {store.location} has it with other content; "
            "nothing was imported"
        ) from error
    return True


def _label(folder: Path) -> dict[str, Any]:
    """The kind and the id that an export is of; raises `StoreError` for a folder that is none."""
    try:
        values: dict[str, Any] = json.loads((folder / LABEL).read_bytes())
        _ = values["kind"], values["id"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{folder}: has no {LABEL}, expected a folder that `strop artifacts export` wrote"
        ) from error
    return values


def _refuse_taken(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise StoreError(f"{folder}: is there already; choose a new or an empty folder")
