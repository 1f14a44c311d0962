"""The files of a model that was named by a folder or on a hub, for workers on other hosts.

The store keeps such a model's fingerprint alone. Workers that share no disk with the run read the
model from the store, where it lies like a shard and goes with the shards when the stage is done.
"""

import shutil

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Store
from strop.pipeline.models import ModelFolder, require_unchanged, resolve_model
from strop.tasks.cluster import current
from strop.tasks.shards import Stage


def weights_for_workers(stage: Stage, model: ArtifactRef, name: str) -> ArtifactRef | None:
    """The model's files in the store; None where whoever reads them finds the model by its name.

    Raises `InputError` when they are no longer what the model's artifact says.
    """
    cluster = current()
    if cluster is None or cluster.shares_disk:
        return None
    store, folder = stage.store, resolve_model(name)
    files = store.manifest(model).parameters["files"]
    recipe = Recipe("shard", "copy model", 1, {"files": files}, {})
    found = store.lookup(recipe)
    if found is None:
        with store.attempt(recipe) as attempt:
            require_unchanged(folder, files)
            for file in files:
                (attempt.folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder.path / file, attempt.folder / file)
            require_unchanged(resolve_model(name), files)
            found = store.commit(attempt, summary={"files": len(files)})
    stage.attempt.shards.append(found)
    return found.ref


def model_folder(
    store: Store, model: ArtifactRef, name: str, weights: ArtifactRef | None
) -> ModelFolder:
    """Where the model is, by its name or in the store; raises as `weights_for_workers` does."""
    if weights is None:
        folder = resolve_model(name)
        require_unchanged(folder, store.manifest(model).parameters["files"])
        return folder
    return ModelFolder(name, store.folder(weights), {})
