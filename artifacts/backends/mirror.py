"""Local copies of an object store's files: verified as they come, bounded, in use or evicted."""

import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from strop.artifacts import pins
from strop.artifacts.backends.bucket import Bucket, seconds
from strop.artifacts.backends.location import cache_folder, paths_below
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.errors import Damaged
from strop.artifacts.manifest import FileEntry, Manifest

DEFAULT_GB = 50.0


class Mirror:
    """The local side of a store in a bucket: copies, scratch of running stages, a catalogue.

    An attempt's folder lies under the same names as in the bucket, and is that of the stage that
    writes it too, so that what a host made is there without a download.
    """

    def __init__(self, bucket: Bucket) -> None:
        """Name the folder; it is made when something is put into it."""
        place = hashlib.sha256(bucket.url.encode()).hexdigest()[:12]
        self.root = cache_folder() / place
        self.limit = int(seconds("STROP_CACHE_GB", DEFAULT_GB) * 1e9)
        self._bucket = bucket
        self._unseen: int | None = None

    def attempt(self, kind: str, artifact_id: str, name: str) -> Path:
        """The folder of an attempt, which this process uses from now on."""
        with self._turn(fcntl.LOCK_SH):
            pins.pin(self.root, kind, artifact_id)
        return self.root / "objects" / kind / artifact_id / name

    def file(self, manifest: Manifest, name: str) -> Path:
        """A copy of one file; raises `Damaged` when what comes is not what the manifest says."""
        folder = self.attempt(manifest.kind, manifest.id, manifest.attempt)
        path = folder / name
        entry = manifest.files.get(name)
        if path.is_file() and (entry is None or path.stat().st_size == entry.bytes):
            with suppress(OSError):
                os.utime(folder)  # what was used last is evicted last
            return path
        if entry is None:
            raise Damaged(f"{manifest.kind} {manifest.id}: has no file {name}")
        self.make_room(entry.bytes)
        self._fetch(manifest, name, entry, path)
        return path

    def folder(self, manifest: Manifest) -> Path:
        """The folder of an artifact with copies of all its files."""
        for name in manifest.files:
            self.file(manifest, name)
        return self.attempt(manifest.kind, manifest.id, manifest.attempt)

    def _fetch(self, manifest: Manifest, name: str, entry: FileEntry, path: Path) -> None:
        key = f"objects/{manifest.kind}/{manifest.id}/{manifest.attempt}/{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
        try:
            with beside.open("xb") as file:
                found = self._bucket.download(key, file)
            if found != entry.sha256:
                raise Damaged(
                    f"{manifest.kind} {manifest.id}: {name} has other content than when it was "
                    "made; see `strop artifacts verify`"
                )
            beside.replace(path)
        except FileNotFoundError as error:
            raise Damaged(f"{manifest.kind} {manifest.id}: file {name} is missing") from error
        finally:
            beside.unlink(missing_ok=True)

    def let_go(self, manifest: Manifest) -> None:
        """This process is done with an artifact, whose copies may be evicted then."""
        pins.unpin(self.root, manifest.kind, manifest.id)

    def make_room(self, coming: int) -> None:
        """Evict copies, the longest unused first, until so many bytes fit below the bound.

        What a living process uses stays, though the bound be exceeded.
        """
        if self._unseen is not None and self._unseen > coming:
            self._unseen -= coming
            return
        with self._turn(fcntl.LOCK_EX):
            self._unseen = self._evict(coming)

    def _evict(self, coming: int) -> int:
        """Evict; returns how many bytes may come until the next look."""
        pins.forget_dead(self.root)
        used = pins.pinned(self.root)
        sizes = {path: _size(path) for path in paths_below(self.root / "objects", "*/*/*")}
        total = sum(sizes.values()) + coming
        free = [path for path in sizes if (path.parent.parent.name, path.parent.name) not in used]
        for path in sorted(free, key=_used):
            if total <= self.limit:
                break
            shutil.rmtree(path, ignore_errors=True)
            with suppress(OSError):
                path.parent.rmdir()
            total -= sizes[path]
        return min(max(self.limit - total, 0), self.limit // 20)

    @contextmanager
    def _turn(self, how: int) -> Iterator[None]:
        """Between an eviction's look at what is used and its deletions nobody begins to use."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("a") as file:
            fcntl.flock(file, how)
            yield

    def remote(self, kind: str, artifact_id: str, name: str) -> ObjectPath:
        """Where an attempt lies in the bucket."""
        return ObjectPath(self._bucket, f"objects/{kind}/{artifact_id}/{name}")

    def upload(self, attempt: Path, remote: ObjectPath, names: list[str]) -> None:
        """Copy an attempt's files into the bucket; raises `Damaged` when they are not there whole.

        Nobody speaks of them yet: what an upload that failed leaves is garbage.
        """
        for name in names:
            self._bucket.upload(f"{remote.key}/{name}", attempt / name)
        there = {path.key: about.size for path, about in remote.files()}
        for name in names:
            size = there.get(f"{remote.key}/{name}")
            if size != (attempt / name).stat().st_size:
                raise Damaged(f"{remote / name}: has {size} bytes after its upload; run again")


def _size(folder: Path) -> int:
    with suppress(FileNotFoundError):
        return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    return 0


def _used(folder: Path) -> float:
    with suppress(FileNotFoundError):
        return folder.stat().st_mtime
    return time.time()
