"""Whether every artifact still is what its manifest says."""

from collections.abc import Iterator
from dataclasses import dataclass

from strop.artifacts.canonical import file_digest
from strop.artifacts.errors import Damaged
from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store


@dataclass(frozen=True)
class Defect:
    """One thing that is wrong with one artifact."""

    kind: str
    id: str
    stage: str
    problem: str


def verify(store: Store, manifests: list[Manifest]) -> Iterator[tuple[Manifest, list[Defect]]]:
    """Each artifact with its defects: missing or changed files, and inputs that are gone."""
    digests = {(item.kind, item.id): item.digest for item in store.artifacts()}
    for manifest in manifests:
        problems = [*_file_problems(store, manifest), *_input_problems(digests, manifest)]
        yield (
            manifest,
            [Defect(manifest.kind, manifest.id, manifest.stage, problem) for problem in problems],
        )


def _file_problems(store: Store, manifest: Manifest) -> Iterator[str]:
    for name, entry in manifest.files.items():
        try:
            path = store.file(manifest, name)
        except Damaged as error:
            yield str(error)
            continue
        if not path.is_file():
            yield f"file {name} is missing"
        elif path.stat().st_size != entry.bytes:
            yield f"file {name} has {path.stat().st_size} bytes, expected {entry.bytes}"
        elif file_digest(path) != entry.sha256:
            yield f"file {name} has other content than when it was made"


def _input_problems(digests: dict[tuple[str, str], str], manifest: Manifest) -> Iterator[str]:
    for role, ref in manifest.inputs.items():
        found = digests.get((ref.kind, ref.id))
        if found is None:
            yield f"input {role} ({ref.kind} {ref.id}) is not in the store"
        elif found != ref.digest:
            yield f"input {role} ({ref.kind} {ref.id}) was made again with other content"
