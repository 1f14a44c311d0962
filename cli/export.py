"""A champion's model in a folder of its own, with its calibration: whole or not at all."""

import errno
import json
import secrets
import shutil
from pathlib import Path
from typing import Any

from strop.artifacts.canonical import file_digest
from strop.artifacts.errors import Damaged, StoreError
from strop.artifacts.manifest import ArtifactRef, Manifest
from strop.artifacts.runs import Run
from strop.artifacts.store import Store

FORMULA = "fused = weight * z(reranker) + (1 - weight) * z(first stage), z over a query's scores"


def export_model(store: Store, champion: dict[str, Any], folder: Path) -> str | None:
    """Copy the model's files and a ``fusion.json``; the folder appears when all are there.

    Where the champion's run calibrated it, ``calibration.json`` comes with it, the model card tells
    how to use it, and the method is returned.

    Raises `StoreError` where the first stage is champion or the folder is taken, and `Damaged`
    where the model's files are not those of its manifest.
    """
    if champion["reranker"] is None:
        raise StoreError(
            f"champion {champion['champion']}: is the first stage alone; there is no model to "
            "export"
        )
    _refuse_taken(folder)
    manifest = store.manifest(ArtifactRef(**champion["reranker"]))
    beside = folder.absolute().parent / f".{folder.name}.{secrets.token_hex(4)}.tmp"
    try:
        tables = shutil.ignore_patterns("*.parquet")
        source = store.folder(manifest)
        shutil.copytree(source, beside, ignore=tables, copy_function=shutil.copyfile)
        _check_copy(manifest, beside)
        calibration = _calibration_of(store, champion)
        if calibration:
            _add_calibration(store, calibration, beside)
        text = json.dumps(_fusion(champion), indent=1, ensure_ascii=False) + "\n"
        (beside / "fusion.json").write_text(text, encoding="utf-8")
        beside.replace(folder)  # takes the place of an empty folder, and of no other
        return str(calibration.parameters["method"]) if calibration else None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StoreError(f"{folder}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _calibration_of(store: Store, champion: dict[str, Any]) -> Manifest | None:
    """What the champion's run made of its logits; None where it calibrated no or another model."""
    made = Run(store, champion["run"]).parts().get("assess", {})
    if "calibration" not in made:
        return None
    found = store.manifest(made["calibration"])
    return found if found.inputs["reranker"] == ArtifactRef(**champion["reranker"]) else None


def _add_calibration(store: Store, calibration: Manifest, folder: Path) -> None:
    source = store.folder(calibration)
    for name in ("calibration.json", "calibration.md"):
        _check_file(calibration, name, source / name)
    shutil.copy(source / "calibration.json", folder)
    section = (source / "calibration.md").read_text(encoding="utf-8")
    with (folder / "README.md").open("a", encoding="utf-8") as card:
        card.write(f"\n{section}")


def _check_copy(manifest: Manifest, folder: Path) -> None:
    for name in manifest.files:
        if not name.endswith(".parquet"):  # the training's log, which was not copied
            _check_file(manifest, name, folder / name)


def _check_file(manifest: Manifest, name: str, path: Path) -> None:
    if not path.is_file() or file_digest(path) != manifest.files[name].sha256:
        raise Damaged(
            f"{manifest.kind} {manifest.id}: {name} is not what its manifest says; nothing was "
            "exported; see `strop artifacts verify`"
        )


def _refuse_taken(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise StoreError(f"{folder}: is there already; choose a new or an empty folder")


def _fusion(champion: dict[str, Any]) -> dict[str, Any]:
    about = {key: champion[key] for key in ("name", "run", "round", "ranking", "weight")}
    return {**about, "formula": FORMULA, "reranker": champion["reranker"]["id"]}
