"""A prefix of a bucket: whole reads, conditional writes, lists; every failure is a named error."""

import errno
import functools
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from strop.artifacts.errors import Conflict, StoreError, Unreachable

SCHEMES = ("s3", "gs", "az")
ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""The environment variables that name another server than the provider's own."""
ABSENT = ""
"""The version of an object that is not there: a write that expects it creates."""
TRIES = 6
PAUSE_SECONDS = 0.1
READERS = 16
WRITER = "stropwriter"
"""The metadata that tells whose write an object is; letters alone, as Azure wants names."""


@dataclass(frozen=True)
class About:
    """What a list tells of an object: key within the prefix, bytes, time (epoch seconds), ETag."""

    key: str
    size: int
    modified: float
    etag: str


@dataclass(frozen=True)
class Bucket:
    """A place on an object store, named as people name it: ``s3://bucket/prefix``."""

    url: str

    def read(self, key: str) -> tuple[bytes, str]:
        """An object's bytes and version; raises `FileNotFoundError`."""
        with _named(self._url(key)):
            found = _obstore().get(_client(self.url), key)
            return bytes(found.bytes()), _version(found.meta)

    def read_many(self, keys: list[str]) -> Iterator[tuple[str, bytes | None]]:
        """Every object's bytes, several at a time and in order; None for one that is gone."""
        from concurrent.futures import ThreadPoolExecutor  # late: local stores need none

        with ThreadPoolExecutor(READERS) as pool:
            yield from zip(keys, pool.map(self._read_or_none, keys), strict=True)

    def _read_or_none(self, key: str) -> bytes | None:
        try:
            return self.read(key)[0]
        except FileNotFoundError:
            return None

    def about(self, key: str) -> About | None:
        """What is known of one object, None where there is none."""
        try:
            with _named(self._url(key)):
                return _about(_obstore().head(_client(self.url), key))
        except FileNotFoundError:
            return None

    def write(self, key: str, data: bytes, *, seen: str | None = None) -> str:
        """Write an object whole, if it is still the version ``seen``; returns the new version.

        Without ``seen`` whatever is there is replaced. Raises `Conflict` for another version. An
        answer may be lost, or tell of a write that was made twice: every write bears a token of
        its own, so that one finds out whether what lies there now is its own.
        """
        token = secrets.token_hex(8)
        last: Exception = Conflict(f"{self._url(key)}: others write it at this moment; try again")
        for number in range(TRIES):
            if number:
                time.sleep(PAUSE_SECONDS * 2**number)
            try:
                return self._put(key, data, token, seen)
            except Conflict:
                there = self._writer(key)
                if there is not None and there[1] == token:
                    return there[0]
                if (there[0] if there else ABSENT) != seen:
                    raise
            except Unreachable as error:
                last = error
        raise last

    def _put(self, key: str, data: bytes, token: str, seen: str | None) -> str:
        mode: Any = "overwrite" if seen is None else "create" if seen == ABSENT else _seen(seen)
        try:
            with _named(self._url(key)):
                put = _obstore().put
                return _version(
                    put(_client(self.url), key, data, mode=mode, attributes={WRITER: token})
                )
        except FileNotFoundError as error:
            if seen:
                raise Conflict(f"{self._url(key)}: is gone") from error
            raise StoreError(f"{self.url}: no such bucket; make it, or name another") from error

    def _writer(self, key: str) -> tuple[str, str] | None:
        """An object's version and whose write it is."""
        try:
            with _named(self._url(key)):
                found = _obstore().get(_client(self.url), key, options={"head": True})
                return _version(found.meta), str(found.attributes.get(WRITER, ""))
        except FileNotFoundError:
            return None

    def upload(self, key: str, path: Path) -> None:
        """Copy a local file there, in parts where it is large."""
        with _named(self._url(key)):
            _obstore().put(_client(self.url), key, path)

    def download(self, key: str, file: BinaryIO) -> str:
        """Copy an object into an open file; returns the SHA-256 of what came, in hex."""
        digest = hashlib.sha256()
        for chunk in self.chunks(key):
            digest.update(chunk)
            file.write(chunk)
        return digest.hexdigest()

    def chunks(self, key: str) -> Iterator[bytes]:
        """An object's bytes piece by piece; raises `FileNotFoundError`."""
        with _named(self._url(key)):
            yield from map(bytes, _obstore().get(_client(self.url), key).stream())

    def delete(self, keys: str | list[str]) -> None:
        """Delete an object, or many; those that are not there are no fault."""
        if keys:
            with _named(self.url), suppress(FileNotFoundError):
                _obstore().delete(_client(self.url), keys)

    def below(self, prefix: str = "") -> Iterator[About]:
        """Every object below a folder, at any depth, by key."""
        with _named(self._url(prefix)):
            found = _obstore().list(_client(self.url), f"{prefix}/" if prefix else None)
            objects = [_about(item) for batch in found for item in batch]
        yield from sorted(objects, key=lambda item: item.key)

    def children(self, prefix: str) -> list[str]:
        """The names right below a folder, of objects and of folders."""
        with _named(self._url(prefix)):
            start = f"{prefix}/" if prefix else None
            found = _obstore().list_with_delimiter(_client(self.url), start)
        keys = [*found["common_prefixes"], *(item["path"] for item in found["objects"])]
        return sorted({key.rstrip("/").rpartition("/")[2] for key in keys})

    def now(self) -> float:
        """The server's clock (epoch seconds): hosts that share a store need not agree on theirs."""
        server, measured = _clock(self.url)
        return server + time.monotonic() - measured

    def _url(self, key: str) -> str:
        return f"{self.url}/{key}"


def _version(item: Any) -> str:
    """What names one version of an object: S3 and Azure compare the ETag, Google the version."""
    return f"{item['e_tag']}\n{item['version'] or ''}"


def _seen(version: str) -> dict[str, str]:
    etag, _, number = version.partition("\n")
    return {"e_tag": etag, "version": number} if number else {"e_tag": etag}


def _about(item: Any) -> About:
    return About(item["path"], item["size"], item["last_modified"].timestamp(), str(item["e_tag"]))


def _obstore() -> Any:
    import obstore  # late: local stores need none

    return obstore


@functools.cache
def _clock(url: str) -> tuple[float, float]:
    """The server's time and ours, read together once a process."""
    bucket, key = Bucket(url), f"probe/clock-{secrets.token_hex(8)}"
    bucket.write(key, b"")
    measured, found = time.monotonic(), bucket.about(key)
    bucket.delete(key)
    return (found.modified if found else time.time()), measured


@functools.cache
def _client(url: str) -> Any:
    """The client of a place; credentials come from where the provider's own tools find them."""
    from obstore import store as stores

    scheme, _, rest = url.partition("://")
    name, _, prefix = rest.partition("/")
    found = [os.environ[key] for key in ENDPOINTS[scheme] if os.environ.get(key)]
    options: Any = {"timeout": timedelta(seconds=seconds("STROP_REQUEST_SECONDS", 60))}
    if found and found[0].startswith("http://"):
        options["allow_http"] = True
    made: Any = {"s3": stores.S3Store, "gs": stores.GCSStore, "az": stores.AzureStore}[scheme]
    settings: dict[str, Any] = {"client_options": options, "retry_config": _retries()}
    if scheme == "s3" and found:
        settings["endpoint"] = found[0]
    if scheme == "s3":
        settings.update(_profile())
    try:
        return made(name, prefix=prefix or None, **settings)
    except Exception as error:
        raise StoreError(f"{url}: cannot be opened ({first_line(error)})") from None


def _retries() -> Any:
    limit = timedelta(seconds=seconds("STROP_REQUEST_SECONDS", 60))
    backoff = {"init_backoff": timedelta(seconds=PAUSE_SECONDS), "max_backoff": limit, "base": 2}
    return {"max_retries": TRIES, "retry_timeout": limit, "backoff": backoff}


def _profile() -> dict[str, Any]:
    """Credentials of ``AWS_PROFILE``, which boto3 reads where it is installed."""
    profile = os.environ.get("AWS_PROFILE")
    if not profile or os.environ.get("AWS_ACCESS_KEY_ID"):
        return {}
    try:
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        raise StoreError(
            f"AWS_PROFILE {profile!r}: profiles are read by boto3; `pip install boto3`, or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    try:
        return {"credential_provider": Boto3CredentialProvider()}
    except (BotoCoreError, ValueError) as error:
        raise StoreError(f"AWS_PROFILE {profile!r}: {first_line(error)}") from None


def seconds(variable: str, default: float) -> float:
    """A number from the environment; raises `StoreError` for what is none."""
    text = os.environ.get(variable, "")
    try:
        found = float(text or default)
    except ValueError:
        found = -1.0
    if not 0 < found < float("inf"):
        raise StoreError(f"{variable} {text!r}: expected a number above 0")
    return found


@contextmanager
def _named(url: str) -> Iterator[None]:
    """Turn the client's errors into ours, each in one line without what the request carried."""
    from obstore import exceptions

    try:
        yield
    except FileNotFoundError as error:
        _refuse_no_bucket(url, error)
        raise FileNotFoundError(errno.ENOENT, "no such object", url) from None
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
        raise Conflict(f"{url}: is another version now") from None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
        raise PermissionError(errno.EACCES, "access denied", url) from None
    except exceptions.BaseError as error:
        _refuse_no_bucket(url, error)
        raise Unreachable(f"{url}: {first_line(error)}") from None


def _refuse_no_bucket(url: str, error: Exception) -> None:
    if "NoSuchBucket" in str(error) or "ContainerNotFound" in str(error):
        place = "/".join(url.split("/")[:3])
        raise StoreError(f"{place}: no such bucket; make it, or name another") from None


def first_line(error: BaseException) -> str:
    """What an error of the client says first, short and without the address it says again."""
    text = str(error).partition("\n")[0].partition("<?xml")[0].strip()
    told = text.partition(" - ")[2] or text.rpartition(": ")[2] or text
    return told[:200].strip(" :") or type(error).__name__
