"""An artifact that a config's value names by its id."""

from strop.artifacts.errors import NotFound
from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.pipeline.errors import InputError


def artifact_by_id(store: Store, artifact_id: str, kind: str, *, key: str) -> Manifest:
    """The artifact, which is of this kind; raises `InputError` naming the key that asked for it."""
    try:
        found = store.find(artifact_id)
    except NotFound as error:
        raise InputError(f"{key}: {error}") from error
    if found.kind != kind:
        wanted = kind if kind.endswith("s") else f"a {kind}"
        raise InputError(
            f"{key}: {artifact_id!r} is a {found.kind} artifact, expected {wanted}; "
            f"see `strop artifacts ls --kind {kind}`"
        )
    return found
