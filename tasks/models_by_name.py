"""A model by the name that a config gives it: also a reranker of the store, by its id."""

from strop.artifacts.manifest import Manifest
from strop.artifacts.names import looks_like_id
from strop.artifacts.store import Store
from strop.pipeline.models import ModelFolder, resolve_model
from strop.tasks.by_id import artifact_by_id


def model_by_name(store: Store, name: str, what: str | None) -> ModelFolder:
    """A folder, a Hugging Face name, `bundled` or a reranker's id.

    Raises `InputError`, which names ``what`` it was given as: the config's key, or an option.
    """
    kept = kept_reranker(store, name, what)
    return resolve_model(str(store.folder(kept)) if kept else name, what)


def kept_reranker(store: Store, name: str, what: str | None) -> Manifest | None:
    """The reranker of the store that a name is the id of; none where it is no id."""
    if not looks_like_id(name):
        return None
    return store.use(artifact_by_id(store, name, "reranker", key=what or "model").ref)
