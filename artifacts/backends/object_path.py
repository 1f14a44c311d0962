"""What `pathlib.Path` offers, for a key in a bucket: as much of it as the store's modules use."""

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from strop.artifacts.backends.bucket import About, Bucket


@dataclass(frozen=True)
class Stat:
    """The size and time of an object, or of the newest one in a folder."""

    st_size: int
    st_mtime: float


@functools.total_ordering
@dataclass(frozen=True)
class ObjectPath:
    """A file or folder of a store in a bucket; folders are there as long as something is in them.

    Every write is durable when it returns.
    """

    bucket: Bucket
    key: str = ""

    def __truediv__(self, name: object) -> "ObjectPath":
        """A path below this one."""
        return ObjectPath(self.bucket, f"{self.key}/{name}".lstrip("/"))

    def joinpath(self, name: str) -> "ObjectPath":
        """The path below this one."""
        return self / name

    def __str__(self) -> str:
        """The address, as people write it."""
        return f"{self.bucket.url}/{self.key}" if self.key else self.bucket.url

    def __fspath__(self) -> str:
        """Refuses to pass for a local file."""
        raise TypeError(f"{self}: not a local file; ask the store for a copy of it")

    def __lt__(self, other: "ObjectPath") -> bool:
        """Order by the parts, as local paths have it."""
        return (self.bucket.url, self.parts) < (other.bucket.url, other.parts)

    def as_posix(self) -> str:
        """The same as its text."""
        return str(self)

    @property
    def parts(self) -> tuple[str, ...]:
        """The names that lead here from the store's own folder."""
        return tuple(self.key.split("/")) if self.key else ()

    @property
    def name(self) -> str:
        """The last part."""
        return self.key.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The last part without its ending."""
        return self.name.rpartition(".")[0] or self.name

    @property
    def parent(self) -> "ObjectPath":
        """The folder that it is in."""
        return ObjectPath(self.bucket, self.key.rpartition("/")[0])

    def relative_to(self, other: "ObjectPath") -> "ObjectPath":
        """The path as seen from a folder above it."""
        start = f"{other.key}/" if other.key else ""
        if self.bucket != other.bucket or not self.key.startswith(start):
            raise ValueError(f"{self} is not below {other}")
        return Relative(self.bucket, self.key[len(start) :])

    def exists(self) -> bool:
        """Whether there is a file or a folder."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Whether there is an object of this very key."""
        return bool(self.key) and self.bucket.about(self.key) is not None

    def is_dir(self) -> bool:
        """Whether there is anything below."""
        return bool(self.bucket.children(self.key))

    def is_symlink(self) -> bool:
        """Object stores have no links."""
        return False

    def stat(self) -> Stat:
        """Size and time of the object, or the newest time in the folder."""
        about = self.bucket.about(self.key) if self.key else None
        if about is not None:
            return Stat(about.size, about.modified)
        found = list(self.bucket.below(self.key))
        if not found:
            raise FileNotFoundError(f"{self}: no such object")
        return Stat(0, max(item.modified for item in found))

    def read_bytes(self) -> bytes:
        """The whole object."""
        return self.bucket.read(self.key)[0]

    def read_text(self, encoding: str = "utf-8") -> str:
        """The whole object as text."""
        return self.read_bytes().decode(encoding)

    def sha256(self) -> str:
        """The digest of the object's bytes, in hex, read piece by piece."""
        digest = hashlib.sha256()
        for chunk in self.bucket.chunks(self.key):
            digest.update(chunk)
        return digest.hexdigest()

    def write_bytes(self, data: bytes) -> int:
        """Write the object, whatever is there."""
        self.bucket.write(self.key, data)
        return len(data)

    def write_text(self, text: str, encoding: str = "utf-8") -> int:
        """Write the object as text, whatever is there."""
        return self.write_bytes(text.encode(encoding))

    def touch(self) -> None:
        """An empty object, if there is none, and a new time if there is."""
        about = self.bucket.about(self.key)
        self.write_bytes(self.read_bytes() if about and about.size else b"")

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Folders need not be made."""

    def rmdir(self) -> None:
        """Folders are gone with what is in them."""

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Delete the object."""
        if not missing_ok and not self.is_file():
            raise FileNotFoundError(f"{self}: no such object")
        self.bucket.delete(self.key)

    def remove_tree(self) -> None:
        """Delete everything below."""
        self.bucket.delete([item.key for item in self.bucket.below(self.key)])

    def iterdir(self) -> Iterator["ObjectPath"]:
        """What is right below; nothing for a folder that is not there."""
        return (self / name for name in self.bucket.children(self.key))

    def files(self) -> Iterator[tuple["ObjectPath", About]]:
        """Every object below, with what the list tells of it."""
        for item in self.bucket.below(self.key):
            yield ObjectPath(self.bucket, item.key), item

    def glob(self, pattern: str) -> Iterator["ObjectPath"]:
        """The files and folders below whose parts match a pattern's, in order."""
        wanted = pattern.split("/")
        fixed = next((n for n, part in enumerate(wanted) if set(part) & set("*?[")), len(wanted))
        start = functools.reduce(
            ObjectPath.__truediv__, wanted[: min(fixed, len(wanted) - 1)], self
        )
        depth, seen = len(self.parts) + len(wanted), set[str]()
        for item in self.bucket.below(start.key):
            parts = item.key.split("/")
            if len(parts) >= depth:
                seen.add("/".join(parts[:depth]))
        for key in sorted(seen):
            found = key.split("/")[len(self.parts) :]
            if all(fnmatchcase(part, like) for part, like in zip(found, wanted, strict=True)):
                yield ObjectPath(self.bucket, key)

    def rglob(self, pattern: str) -> Iterator["ObjectPath"]:
        """Every object below whose name matches, at any depth."""
        for path, _ in self.files():
            if fnmatchcase(path.name, pattern):
                yield path


class Relative(ObjectPath):
    """A path below another one: its text is what leads there."""

    def __str__(self) -> str:
        """The names that lead there."""
        return self.key
