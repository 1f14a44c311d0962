"""The versioned store: immutable artifacts under ids that are known before they are made."""

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from strop.artifacts import durable, pins, slots, tables
from strop.artifacts.attempt import Attempt as Attempt
from strop.artifacts.backends.location import StorePath, store_path
from strop.artifacts.backends.mirror import Mirror
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.environment import device_name, library_versions
from strop.artifacts.errors import Conflict, Damaged, NotFound, StoreError, Unreachable
from strop.artifacts.full_disk import naming_full_disk
from strop.artifacts.manifest import ArtifactRef, Manifest, Recipe, read_manifests, timestamp
from strop.artifacts.mark import open_mark
from strop.artifacts.names import check_part, follows_link, leaves
from strop.artifacts.schemas import KINDS, SCHEMA_VERSION
from strop.artifacts.sealing import seal
from strop.artifacts.sizes import check_sizes
from strop.artifacts.tombstones import absence, refuse_purged

MARKED = "marked"
"""What garbage collection leaves beside a manifest that it may hide later."""


class Store:
    """Artifacts, runs and refs, in a folder or a prefix of a bucket.

    ``root`` is where they lie, ``local`` the folder for what never leaves this host.
    """

    def __init__(self, location: str | Path | ObjectPath) -> None:
        """Open the store there, and make it one when nothing is there yet."""
        self.root = store_path(location)
        self._mirror = Mirror(self.root.bucket) if isinstance(self.root, ObjectPath) else None
        self.local = self._mirror.root if self._mirror else Path(self.root)
        open_mark(self.root)

    @property
    def location(self) -> str:
        """The store's place as `Store` takes it: a path, or ``s3://bucket/prefix``."""
        return str(self.root)

    def home(self, kind: str, artifact_id: str) -> StorePath:
        """Where an artifact lies: its manifest, and a folder for each attempt at it."""
        check_part(kind, "kind")
        check_part(artifact_id, "id")
        return self.root / "objects" / kind / artifact_id

    def _work(self, recipe: Recipe) -> Path:
        return self.local / "work" / recipe.kind / recipe.key

    def work_folder(self, recipe: Recipe) -> Path:
        """A folder for what a stage keeps while it works, found again by a later attempt.

        It survives a killed process, is no part of any artifact, stays on this host, and goes
        when the recipe's artifact is committed.
        """
        folder = self._work(recipe)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def lookup(self, recipe: Recipe) -> Manifest | None:
        """The artifact that this recipe made, if it is whole; raises `Damaged` when it is not.

        The id is pinned for this process, whether the artifact is there or will be made.
        """
        home, data = self._claim(recipe.kind, recipe.id)
        if data is None:
            refuse_purged(home, f"{recipe.kind} {recipe.id}")
            return None
        manifest = Manifest.from_bytes(data, source=str(home / slots.MANIFEST))
        if manifest.key != recipe.key:
            raise Conflict(
                f"{recipe.kind} {recipe.id}: another recipe has the same shortened id; "
                "report this with both manifests"
            )
        places = {name: self.place_of(manifest, name) for name in manifest.files}
        check_sizes(manifest, self.place(manifest), places)
        return manifest

    def _claim(self, kind: str, artifact_id: str) -> tuple[StorePath, bytes | None]:
        """Pin an id, take it back from a garbage collection; where it lies, and its manifest.

        A store that cannot be written, where nobody collects either, is only read.
        """
        home = self.home(kind, artifact_id)
        pins.pin(self.root, kind, artifact_id)
        try:
            (home / MARKED).unlink(missing_ok=True)
            return home, slots.claim(home)
        except OSError as error:
            if error.errno not in pins.READ_ONLY:
                raise
        return home, slots.read(home)

    def use(self, ref: ArtifactRef) -> Manifest:
        """The manifest of an artifact, pinned for this process; raises as `manifest` does."""
        return self._named(ref, *self._claim(ref.kind, ref.id))

    @contextmanager
    def attempt(self, recipe: Recipe) -> Iterator[Attempt]:
        """A fresh folder for one stage's files; removed when the stage fails."""
        if recipe.kind not in KINDS:
            raise StoreError(f"kind {recipe.kind!r}: unknown; the kinds are {', '.join(KINDS)}")
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self._claim(recipe.kind, recipe.id)
        folder = self._scratch(recipe, name)
        durable.make_folder(folder)
        try:
            with naming_full_disk(self.local):
                yield Attempt(recipe, name, folder)
        except BaseException:
            if not self._committed(recipe, name):
                shutil.rmtree(folder, ignore_errors=True)
                with suppress(OSError):
                    folder.parent.rmdir()
            raise

    def _scratch(self, recipe: Recipe, name: str) -> Path:
        """Where an attempt's files are written: in the store, or on the way to its bucket."""
        if self._mirror:
            return self._mirror.attempt(recipe.kind, recipe.id, name)
        return Path(self.home(recipe.kind, recipe.id) / name)

    def _committed(self, recipe: Recipe, name: str) -> bool:
        """Whether the artifact's manifest speaks for this attempt, so that its files must stay."""
        with suppress(StoreError, FileNotFoundError, Unreachable):
            home = self.home(recipe.kind, recipe.id)
            data = slots.read(home)
            return data is not None and Manifest.from_bytes(data, source="").attempt == name
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
        home = self.home(manifest.kind, manifest.id)
        if self._mirror:
            remote = self._mirror.remote(manifest.kind, manifest.id, manifest.attempt)
            self._mirror.upload(attempt.folder, remote, list(manifest.files))
        try:
            slots.put(home, manifest.to_bytes())
        except Conflict:
            data = slots.read(home)
            if data is None:  # collected or erased just now
                raise
            manifest = Manifest.from_bytes(data, source=str(home / slots.MANIFEST))
            if manifest.attempt != attempt.name:
                durable.remove_tree(attempt.folder)
                durable.remove_tree(home / attempt.name)
        shutil.rmtree(self._work(attempt.recipe), ignore_errors=True)
        return manifest

    def manifest(self, ref: ArtifactRef) -> Manifest:
        """The manifest of an artifact; raises `NotFound`, or `Damaged` when its digest differs."""
        home = self.home(ref.kind, ref.id)
        return self._named(ref, home, slots.read(home))

    def _named(self, ref: ArtifactRef, home: StorePath, data: bytes | None) -> Manifest:
        if data is None:
            raise NotFound(f"{ref.kind} {ref.id}: {absence(home, self.location)}")
        manifest = Manifest.from_bytes(data, source=str(home / slots.MANIFEST))
        if manifest.digest != ref.digest:
            raise Damaged(f"{ref.kind} {ref.id}: was made again with other content; run again")
        return manifest

    def find(self, prefix: str) -> Manifest:
        """The one artifact whose id starts so; raises `NotFound` when none or several do."""
        paths = slots.paths(self.root / "objects") if prefix else ()
        matches = read_manifests(
            path for path in sorted(paths) if path.parent.name.startswith(prefix)
        )
        if not matches:
            raise NotFound(
                f"artifact {prefix!r}: none in the store {self.location}; see `strop artifacts ls`"
            )
        if len(matches) > 1:
            names = ", ".join(f"{manifest.kind} {manifest.id}" for manifest in matches[:4])
            more = f" and {len(matches) - 4:,} more" if len(matches) > 4 else ""
            raise NotFound(f"artifact {prefix!r}: matches {names}{more}; give more digits")
        return matches[0]

    def artifacts(self, kind: str | None = None) -> list[Manifest]:
        """Every artifact, oldest first."""
        found = read_manifests(slots.paths(self.root / "objects", kind or "*"))
        return sorted(found, key=lambda manifest: (manifest.created, manifest.kind, manifest.id))

    def place(self, item: ArtifactRef | Manifest) -> StorePath:
        """Where an artifact's files lie; refuses an attempt that leaves the artifact's folder."""
        manifest = item if isinstance(item, Manifest) else self.manifest(item)
        home = self.home(manifest.kind, manifest.id)
        if leaves(manifest.attempt) or "/" in manifest.attempt:
            raise Damaged(f"{home}: attempt {manifest.attempt!r} leaves the artifact's folder")
        return home / manifest.attempt

    def place_of(self, item: ArtifactRef | Manifest, name: str) -> StorePath:
        """Where one file lies; refuses names and links that leave the artifact's folder."""
        folder = self.place(item)
        if leaves(name):
            raise Damaged(f"{folder}: file name {name!r} leaves the artifact's folder")
        if isinstance(folder, Path) and follows_link(folder / name, folder):
            raise Damaged(
                f"{folder}: {name!r} is behind a link, which leaves the artifact's folder"
            )
        return folder / name

    def folder(self, item: ArtifactRef | Manifest) -> Path:
        """A local folder that holds an artifact's files; from a bucket, verified copies of them."""
        if self._mirror is None:
            return Path(self.place(item))
        manifest = item if isinstance(item, Manifest) else self.manifest(item)
        for name in manifest.files:
            self.file(manifest, name)
        return self._mirror.attempt(manifest.kind, manifest.id, manifest.attempt)

    def file(self, item: ArtifactRef | Manifest, name: str) -> Path:
        """The local path of one file of an artifact, or of a verified copy of it.

        Refuses names and links that leave the artifact's folder.
        """
        path = self.place_of(item, name)
        if isinstance(path, Path):
            return path
        assert self._mirror is not None
        return self._mirror.file(item if isinstance(item, Manifest) else self.manifest(item), name)

    def let_go(self, manifest: Manifest) -> None:
        """Say that nothing here reads the artifact any more, so that copies of it may go."""
        if self._mirror:
            self._mirror.let_go(manifest)

    def forget_copies(self, manifest: Manifest) -> None:
        """Delete what this host has of an artifact beside the store."""
        if self._mirror:
            shutil.rmtree(self.local / "objects" / manifest.kind / manifest.id, ignore_errors=True)

    def table(
        self,
        item: ArtifactRef | Manifest,
        name: str,
        *,
        columns: list[str] | None = None,
        encoded: list[str] | None = None,
    ) -> pa.Table:
        """A whole declared table of an artifact; ``encoded`` columns come as dictionaries."""
        path = self.file(item, f"{name}.parquet")
        return tables.read_table(path, columns=columns, encoded=encoded)

    def rows(
        self,
        item: ArtifactRef | Manifest,
        name: str,
        keep: Callable[[pa.Table], Any],
        *,
        columns: list[str] | None = None,
        encoded: list[str] | None = None,
    ) -> pa.Table:
        """The rows of a declared table that ``keep`` marks; the others are not held in memory."""
        path = self.file(item, f"{name}.parquet")
        return tables.read_where(path, keep, columns=columns, encoded=encoded)
