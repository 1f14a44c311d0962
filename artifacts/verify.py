"""Whether every artifact still is what its manifest says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from strop.artifacts import slots
from strop.artifacts.backends.location import StorePath
from strop.artifacts.canonical import file_digest
from strop.artifacts.errors import Damaged, StoreError
from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.artifacts.tombstones import purged_digests
from strop.artifacts.upkeep.deep import deep_problems

Verified = tuple[Manifest, list["Defect"]]


@dataclass(frozen=True)
class Defect:
    """One thing that is wrong with one artifact; ``path`` is what to look at, or to delete."""

    kind: str
    id: str
    stage: str
    problem: str
    path: str


def readable(store: Store) -> tuple[list[Manifest], list[Defect]]:
    """Every manifest that can be read, and a defect for each that cannot."""
    found, defects = [], []
    for path, data in slots.read_all(sorted(slots.paths(store.root / "objects"))):
        kind, artifact_id = path.parts[-3:-1]
        try:
            manifest = Manifest.from_bytes(data, source=str(path))
        except StoreError as error:
            defects.append(Defect(kind, artifact_id, "", str(error), str(path.parent)))
            continue
        if (manifest.kind, manifest.id) == (kind, artifact_id):
            found.append(manifest)
            continue
        problem = f"the manifest speaks of {manifest.kind} {manifest.id}"
        defects.append(Defect(kind, artifact_id, manifest.stage, problem, str(path.parent)))
    return sorted(found, key=lambda item: (item.created, item.kind, item.id)), defects


def verify(
    store: Store, manifests: Sequence[Manifest], *, deep: bool = False
) -> Iterator[Verified]:
    """Each artifact with its defects: missing or changed files, and inputs that are gone.

    ``deep`` reads every table against its declared schema, and makes every id anew.
    """
    digests = {(item.kind, item.id): item.digest for item in readable(store)[0]}
    digests |= purged_digests(store.root)  # what was erased on purpose is no damage
    for manifest in manifests:
        home = store.root / "objects" / manifest.kind / manifest.id
        problems = [*_file_problems(store, manifest), *_input_problems(digests, manifest, home)]
        broken = {path for path, _ in problems}
        if deep:
            problems += [item for item in deep_problems(store, manifest) if item[0] not in broken]
            store.let_go(manifest)
        about = (manifest.kind, manifest.id, manifest.stage)
        yield manifest, [Defect(*about, problem, str(path)) for path, problem in problems]


def _file_problems(store: Store, manifest: Manifest) -> Iterator[tuple[StorePath, str]]:
    for name, entry in manifest.files.items():
        try:
            path = store.place_of(manifest, name)
        except Damaged as error:
            yield store.root / "objects" / manifest.kind / manifest.id, str(error)
            continue
        if not path.is_file():
            yield path, f"file {name} is missing"
        elif path.stat().st_size != entry.bytes:
            yield path, f"file {name} has {path.stat().st_size} bytes, expected {entry.bytes}"
        elif file_digest(path) != entry.sha256:
            yield path, f"file {name} has other content than when it was made"


def _input_problems(
    digests: dict[tuple[str, str], str], manifest: Manifest, home: StorePath
) -> Iterator[tuple[StorePath, str]]:
    for role, ref in manifest.inputs.items():
        found = digests.get((ref.kind, ref.id))
        if found is None:
            yield home, f"input {role} ({ref.kind} {ref.id}) is not in the store"
        elif found != ref.digest:
            yield home, f"input {role} ({ref.kind} {ref.id}) was made again with other content"
