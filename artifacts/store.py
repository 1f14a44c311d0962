"""The versioned store: immutable artifacts under ids that are known before they are made."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from strop.artifacts import durable, pins, tables
from strop.artifacts.environment import device_name, library_versions
from strop.artifacts.errors import Conflict, Damaged, NotFound, StoreError
from strop.artifacts.manifest import ArtifactRef, Manifest, Recipe, read_manifests, timestamp
from strop.artifacts.names import check_part, follows_link, leaves
from strop.artifacts.schemas import KINDS, SCHEMA_VERSION, TABLES
from strop.artifacts.sealing import seal
from strop.artifacts.tombstones import absence, refuse_purged

FORMAT = 1
MARK = "store.json"
MARKED, DOOMED = "marked", "manifest.doomed"
"""What garbage collection leaves beside a manifest, and then renames the manifest to."""


@dataclass(frozen=True)
class Attempt:
    """A folder in which one stage writes its files; it becomes an artifact by `Store.commit`.

    ``execution`` takes what is true of this one execution, such as timings; no digest covers it.
    """

    recipe: Recipe
    name: str
    folder: Path
    execution: dict[str, Any] = field(default_factory=dict)

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write one declared table of this kind."""
        tables.write_table(self.folder / f"{name}.parquet", table, TABLES[self.recipe.kind][name])


class Store:
    """A folder of artifacts, runs and refs."""

    def __init__(self, root: Path) -> None:
        """Open the store at a folder, and make it one when the folder is empty or absent."""
        self.root = root.expanduser().absolute()
        self._open()

    def _open(self) -> None:
        mark = self.root / MARK
        if self.root.exists() and not self.root.is_dir():
            raise StoreError(f"store {self.root}: a file, expected a folder; choose another path")
        try:
            if mark.exists():
                self._check_format(mark)
                return
            if self._holds_other_files() and not mark.exists():
                raise StoreError(
                    f"store {self.root}: a folder with other files in it, expected an empty "
                    "folder or a strop store; choose another path"
                )
            self.root.mkdir(parents=True, exist_ok=True)
            durable.create(mark, json.dumps({"strop_store": FORMAT}).encode())
        except Conflict:
            self._check_format(mark)
        except OSError as error:
            raise StoreError(
                f"store {self.root}: cannot be written ({error.strerror}); choose another path"
            ) from error

    def _holds_other_files(self) -> bool:
        """Whether the folder holds more than a mark that another process may just be writing."""
        if not self.root.is_dir():
            return False
        return any(not path.name.startswith(f".{MARK}.") for path in self.root.iterdir())

    def _check_format(self, mark: Path) -> None:
        try:
            found = json.loads(mark.read_bytes())["strop_store"]
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(f"{mark}: not the mark of a strop store") from error
        if found != FORMAT:
            raise StoreError(
                f"store {self.root}: format {found}, this strop reads format {FORMAT}; update strop"
            )

    def _object(self, kind: str, artifact_id: str) -> Path:
        check_part(kind, "kind")
        check_part(artifact_id, "id")
        return self.root / "objects" / kind / artifact_id

    def _work(self, recipe: Recipe) -> Path:
        return self.root / "work" / recipe.kind / recipe.key

    def work_folder(self, recipe: Recipe) -> Path:
        """A folder for what a stage keeps while it works, found again by a later attempt.

        It survives a killed process, is no part of any artifact, and goes when the recipe's
        artifact is committed.
        """
        folder = self._work(recipe)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def lookup(self, recipe: Recipe) -> Manifest | None:
        """The artifact that this recipe made, if it is whole; raises `Damaged` when it is not.

        The id is pinned for this process, whether the artifact is there or will be made.
        """
        path = self._claim(recipe.kind, recipe.id)
        if not path.exists():
            refuse_purged(path.parent, f"{recipe.kind} {recipe.id}")
            return None
        manifest = Manifest.from_bytes(path.read_bytes(), source=str(path))
        if manifest.key != recipe.key:
            raise Conflict(
                f"{recipe.kind} {recipe.id}: another recipe has the same shortened id; "
                "report this with both manifests"
            )
        self._check_sizes(manifest)
        return manifest

    def _claim(self, kind: str, artifact_id: str) -> Path:
        """Pin an id, take it back from a garbage collection, and say where its manifest lies."""
        folder = self._object(kind, artifact_id)
        pins.pin(self.root, kind, artifact_id)
        path = folder / "manifest.json"
        (folder / MARKED).unlink(missing_ok=True)
        if not path.exists():
            with suppress(FileNotFoundError):
                (folder / DOOMED).rename(path)
        return path

    def use(self, ref: ArtifactRef) -> Manifest:
        """The manifest of an artifact, pinned for this process; raises as `manifest` does."""
        self._claim(ref.kind, ref.id)
        return self.manifest(ref)

    def _check_sizes(self, manifest: Manifest) -> None:
        for name, entry in manifest.files.items():
            path = self.file(manifest, name)
            size = path.stat().st_size if path.exists() else None
            if size != entry.bytes:
                found = "is missing" if size is None else f"has {size} bytes"
                raise Damaged(
                    f"{manifest.kind} {manifest.id}: file {name} {found}, expected {entry.bytes} "
                    f"bytes; delete {self._object(manifest.kind, manifest.id)} and run again"
                )

    @contextmanager
    def attempt(self, recipe: Recipe) -> Iterator[Attempt]:
        """A fresh folder for one stage's files; removed when the stage fails."""
        if recipe.kind not in KINDS:
            raise StoreError(f"kind {recipe.kind!r}: unknown; the kinds are {', '.join(KINDS)}")
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self._claim(recipe.kind, recipe.id)
        folder = self._object(recipe.kind, recipe.id) / name
        durable.make_folder(folder)
        try:
            yield Attempt(recipe, name, folder)
        except BaseException:
            if not self._committed(recipe, name):
                shutil.rmtree(folder, ignore_errors=True)
                with suppress(OSError):
                    folder.parent.rmdir()
            raise

    def _committed(self, recipe: Recipe, name: str) -> bool:
        """Whether the artifact's manifest speaks for this attempt, so that its files must stay."""
        with suppress(StoreError, FileNotFoundError):
            path = self._object(recipe.kind, recipe.id) / "manifest.json"
            return Manifest.from_bytes(path.read_bytes(), source=str(path)).attempt == name
        return False

    def commit(
        self,
        attempt: Attempt,
        *,
        summary: dict[str, Any],
        seconds: float = 0.0,
        execution: dict[str, Any] | None = None,
        prefect: dict[str, str] | None = None,
    ) -> Manifest:
        """Make an attempt the artifact, durably; if another attempt was first, return that one."""
        recipe = attempt.recipe
        files = seal(attempt.folder)
        if not files:
            raise StoreError(
                f"{recipe.kind} {recipe.id}: stage {recipe.stage!r} wrote no files; all artifacts "
                "without files would have one content digest"
            )
        manifest = Manifest(
            id=recipe.id,
            key=recipe.key,
            kind=recipe.kind,
            stage=recipe.stage,
            schema_version=SCHEMA_VERSION,
            recipe=recipe.recipe,
            attempt=attempt.name,
            parameters=recipe.parameters,
            execution={**attempt.execution, **(execution or {})},
            inputs=recipe.inputs,
            files=files,
            summary=summary,
            seconds=round(seconds, 3),
            created=timestamp(),
            versions=library_versions(),
            device=device_name(),
            prefect=prefect or {},
        )
        return self._publish(attempt, manifest)

    def adopt(self, attempt: Attempt, origin: Manifest) -> Manifest:
        """Make an attempt, a copy of another store's artifact, the artifact here.

        Its manifest is kept but for the attempt's name. Raises `Damaged` when the files differ.
        """
        if seal(attempt.folder) != origin.files:
            raise Damaged(f"{origin.kind} {origin.id}: its copy is not what its manifest says")
        return self._publish(attempt, replace(origin, attempt=attempt.name))

    def _publish(self, attempt: Attempt, manifest: Manifest) -> Manifest:
        """Create the manifest if there is none yet; returns the one that there is."""
        path = self._object(manifest.kind, manifest.id) / "manifest.json"
        try:
            durable.create(path, manifest.to_bytes())
        except Conflict:
            shutil.rmtree(attempt.folder, ignore_errors=True)
            manifest = Manifest.from_bytes(path.read_bytes(), source=str(path))
        shutil.rmtree(self._work(attempt.recipe), ignore_errors=True)
        return manifest

    def manifest(self, ref: ArtifactRef) -> Manifest:
        """The manifest of an artifact; raises `NotFound`, or `Damaged` when its digest differs."""
        path = self._object(ref.kind, ref.id) / "manifest.json"
        if not path.exists():
            raise NotFound(f"{ref.kind} {ref.id}: {absence(path.parent, self.root)}")
        manifest = Manifest.from_bytes(path.read_bytes(), source=str(path))
        if manifest.digest != ref.digest:
            raise Damaged(f"{ref.kind} {ref.id}: was made again with other content; run again")
        return manifest

    def find(self, prefix: str) -> Manifest:
        """The one artifact whose id starts so; raises `NotFound` when none or several do."""
        paths = (self.root / "objects").glob("*/*/manifest.json") if prefix else ()
        matches = read_manifests(
            path for path in sorted(paths) if path.parent.name.startswith(prefix)
        )
        if not matches:
            raise NotFound(
                f"artifact {prefix!r}: none in the store {self.root}; see `strop artifacts ls`"
            )
        if len(matches) > 1:
            names = ", ".join(f"{manifest.kind} {manifest.id}" for manifest in matches[:4])
            raise NotFound(f"artifact {prefix!r}: matches {names}; give more digits")
        return matches[0]

    def artifacts(self, kind: str | None = None) -> list[Manifest]:
        """Every artifact, oldest first."""
        pattern = f"{kind or '*'}/*/manifest.json"
        found = read_manifests((self.root / "objects").glob(pattern))
        return sorted(found, key=lambda manifest: (manifest.created, manifest.kind, manifest.id))

    def folder(self, item: ArtifactRef | Manifest) -> Path:
        """The folder that holds an artifact's files."""
        manifest = item if isinstance(item, Manifest) else self.manifest(item)
        folder = self._object(manifest.kind, manifest.id)
        if leaves(manifest.attempt) or "/" in manifest.attempt:
            raise Damaged(f"{folder}: attempt {manifest.attempt!r} leaves the artifact's folder")
        return folder / manifest.attempt

    def file(self, item: ArtifactRef | Manifest, name: str) -> Path:
        """The path of one file of an artifact; refuses names and links that leave its folder."""
        folder = self.folder(item)
        if leaves(name):
            raise Damaged(f"{folder}: file name {name!r} leaves the artifact's folder")
        if follows_link(folder / name, folder):
            raise Damaged(
                f"{folder}: {name!r} is behind a link, which leaves the artifact's folder"
            )
        return folder / name

    def table(
        self, item: ArtifactRef | Manifest, name: str, *, columns: list[str] | None = None
    ) -> pa.Table:
        """A whole declared table of an artifact."""
        return tables.read_table(self.file(item, f"{name}.parquet"), columns=columns)


def default_root() -> Path:
    """The store that commands use when none is named: ``$STROP_STORE`` or ``.strop``."""
    return Path(os.environ.get("STROP_STORE", ".strop"))
