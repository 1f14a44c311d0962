"""Files and folders to import from: on this machine, or at any URI that fsspec reads."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import SecretStr

from strop.pipeline.errors import InputError

PASSWORD = re.compile(r"(?<!\bgithub)://[^/?#@]*:[^/?#]*@")
"""A user's password in an address; GitHub's have ``OWNER:REPOSITORY@BRANCH`` there."""
QUERY = re.compile(r"(.*?\bhttps?://[^?#]*)([?#].*)", re.DOTALL)
"""An address on the web, and what follows its path: it may be a key, as in a signed address."""

NO_QUERY = SecretStr("")


@dataclass(frozen=True)
class Location:
    """A file or folder by its path or URI, such as ``data`` or ``s3://bucket/data``.

    ``query`` is what follows the path of an address on the web; it is sent and never shown.
    """

    uri: str
    query: SecretStr = NO_QUERY

    def __str__(self) -> str:
        """The path or URI, as messages name it."""
        return self.uri

    def __truediv__(self, name: str) -> "Location":
        """A file or folder inside this folder."""
        return replace(self, uri=f"{self.uri.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.uri.rstrip("/").rpartition("/")[2]

    @property
    def is_local(self) -> bool:
        """Whether it is a plain path."""
        return "://" not in self.uri and "::" not in self.uri

    def is_file(self) -> bool:
        """Whether a file is there; raises `InputError` for a URI that cannot be read."""
        if self.is_local:
            return Path(self.uri).is_file()
        system, path = self._system()
        with self._explained():
            return bool(system.isfile(path))

    def is_folder(self) -> bool:
        """Whether a folder is there; raises `InputError` for a URI that cannot be read."""
        if self.is_local:
            return Path(self.uri).is_dir()
        system, path = self._system()
        with self._explained():
            return bool(system.isdir(path))

    def names(self) -> list[str]:
        """The names of the files in this folder, in order; hidden ones are left out."""
        with self._explained():
            if self.is_local:
                found = [path.name for path in Path(self.uri).iterdir() if path.is_file()]
            else:
                system, path = self._system()
                entries = system.ls(path, detail=True)
                found = [
                    entry["name"].rstrip("/").rpartition("/")[2]
                    for entry in entries
                    if entry["type"] == "file"
                ]
        return sorted(name for name in found if not name.startswith((".", "_")))

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes of the file; raises `InputError` when it cannot be opened."""
        with self._explained():
            if self.is_local:
                file: Any = Path(self.uri).open("rb")  # noqa: SIM115 — closed below
            else:
                system, path = self._system()
                file = system.open(path, "rb")
        with file:
            yield file

    def sha256(self) -> str:
        """The digest of the file's bytes, in hex."""
        with self.open() as file, self._explained():
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    def stamp(self) -> tuple[int, int, int] | None:
        """What changes when a local file is written to; None where only reading it can tell."""
        if not self.is_local:
            return None
        with self._explained():
            found = Path(self.uri).stat()
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _system(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        try:
            found: tuple[Any, str] = url_to_fs(self.uri + self.query.get_secret_value())
        except (ImportError, ValueError, OSError) as error:
            raise InputError(f"{self}: cannot be reached ({_reason(error)})") from error
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise `InputError` for what the file system or the network refuses."""
        try:
            yield
        except FileNotFoundError as error:
            raise InputError(f"{self}: no such file or folder") from error
        except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
            reason = error.strerror or type(error).__name__
            raise InputError(f"{self}: cannot be read ({reason})") from error
        except InputError:
            raise
        except Exception as error:  # clients of the network have errors of their own
            if self.is_local:  # a failing disk is no bad input; the stage is tried again
                raise
            raise InputError(f"{self}: cannot be read ({_reason(error)})") from error


def location(text: str | Path) -> Location:
    """The location that a person names; ``~`` is the home folder.

    Raises `InputError` for an address with a password.
    """
    text = str(text)
    if Location(text).is_local:
        return Location(str(Path(text).expanduser()))
    if PASSWORD.search(text):
        raise InputError(
            f"data {text.partition('://')[0]}://…: expected no password in the address; "
            "credentials come from the environment, or from fsspec's own config"
        )
    found = QUERY.fullmatch(text)
    return Location(found[1], SecretStr(found[2])) if found else Location(text)


def _reason(error: Exception) -> str:
    """An error's first line, without the queries of addresses in it."""
    return re.sub(r"[?#][^\s'\")]*", "?…", str(error).partition("\n")[0])
