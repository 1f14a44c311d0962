"""What is known of an artifact: where it came from, what it holds, and the numbers to look at."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from strop.artifacts import slots
from strop.artifacts.backends.location import StorePath
from strop.artifacts.canonical import digest, folder_digest
from strop.artifacts.errors import Damaged, StoreError
from strop.artifacts.schemas import SCHEMA_VERSION

ID_LENGTH = 16
"""Hex digits of an id: 64 bits; `Store.lookup` compares the whole key, so a collision is seen."""


def timestamp() -> str:
    """Now, as manifests write it: UTC to the second, so that texts compare like times."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class ArtifactRef:
    """The small value that tasks pass to each other instead of tables."""

    kind: str
    id: str
    digest: str


@dataclass(frozen=True)
class Recipe:
    """What decides an artifact's bits, known before the stage starts.

    ``recipe`` is the version of the stage's code, ``parameters`` its identity parameters, and
    ``inputs`` the refs it reads, by role.
    """

    kind: str
    stage: str
    recipe: int
    parameters: dict[str, Any]
    inputs: dict[str, ArtifactRef]

    @property
    def key(self) -> str:
        """The full SHA-256 over kind, versions, identity parameters and digests of the inputs."""
        return digest(
            {
                "kind": self.kind,
                "schema": SCHEMA_VERSION,
                "stage": self.stage,
                "recipe": self.recipe,
                "parameters": self.parameters,
                "inputs": {role: ref.digest for role, ref in self.inputs.items()},
            }
        )

    @property
    def id(self) -> str:
        """The artifact's id: the first digits of the key."""
        return self.key[:ID_LENGTH]


@dataclass(frozen=True)
class FileEntry:
    """One file of an artifact; ``rows`` is known for tables."""

    sha256: str
    bytes: int
    rows: int | None = None


@dataclass(frozen=True)
class Manifest:
    """The record that makes an attempt's files an artifact; created only if absent, and last."""

    id: str
    key: str
    kind: str
    stage: str
    schema_version: int
    recipe: int
    attempt: str
    parameters: dict[str, Any]
    execution: dict[str, Any]
    inputs: dict[str, ArtifactRef]
    files: dict[str, FileEntry]
    summary: dict[str, Any]
    seconds: float
    created: str
    versions: dict[str, str]
    device: str
    prefect: dict[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The content digest that descendants' ids are made from."""
        return folder_digest({path: entry.sha256 for path, entry in self.files.items()})

    @property
    def ref(self) -> ArtifactRef:
        """The ref that later stages take as input."""
        return ArtifactRef(self.kind, self.id, self.digest)

    @property
    def size(self) -> int:
        """The size of all files, in bytes."""
        return sum(entry.bytes for entry in self.files.values())

    def to_bytes(self) -> bytes:
        """The manifest as it lies on disk."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, source: str) -> "Manifest":
        """Read a manifest; raises `Damaged` or, for a newer schema, `StoreError`."""
        try:
            values = json.loads(data)
            version = int(values["schema_version"])
        except (ValueError, KeyError, TypeError) as error:
            raise _no_manifest(source, error) from error
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{source}: schema version {version} is newer than this strop reads "
                f"({SCHEMA_VERSION}); update strop"
            )
        try:
            values["inputs"] = {k: ArtifactRef(**v) for k, v in values["inputs"].items()}
            values["files"] = {k: FileEntry(**v) for k, v in values["files"].items()}
            made = cls(**values)
            _check(made)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _no_manifest(source, error) from error
        return made


TYPES: dict[type | tuple[type, ...], tuple[str, ...]] = {
    str: ("id", "key", "kind", "stage", "attempt", "created", "device"),
    int: ("recipe",),
    (int, float): ("seconds",),
    dict: ("parameters", "execution", "inputs", "files", "summary", "versions", "prefect"),
}
"""What JSON cannot be relied on for: the types of a manifest's values."""


def _check(manifest: Manifest) -> None:
    """Raise `TypeError` or `ValueError` for a value that nobody could work with."""
    for expected, names in TYPES.items():
        for name in names:
            _require(getattr(manifest, name), expected, name)
    for role, ref in manifest.inputs.items():
        for text in (ref.kind, ref.id, ref.digest):
            _require(text, str, f"input {role}")
    for name, entry in manifest.files.items():
        _require(entry.sha256, str, f"file {name}")
        for number in (entry.bytes, entry.rows or 0):
            _require(number, int, f"file {name}")
    if datetime.fromisoformat(manifest.created).tzinfo is None:
        raise ValueError(f"created {manifest.created!r} has no time zone")


def _require(value: Any, expected: type | tuple[type, ...], what: str) -> None:
    if not isinstance(value, expected):
        raise TypeError(f"{what}: {value!r}")


def _no_manifest(source: str, error: Exception) -> Damaged:
    return Damaged(f"{source}: not a manifest ({error}); delete its folder and run again")


def read_manifests(paths: Iterable[StorePath]) -> list[Manifest]:
    """The manifests at these paths, without those that are deleted meanwhile."""
    return [Manifest.from_bytes(data, source=str(path)) for path, data in slots.read_all(paths)]
