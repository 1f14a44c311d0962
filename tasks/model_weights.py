"""The files of a model that was named by a folder or on a hub, for workers on other hosts.

The store keeps such a model's fingerprint alone. Workers that share no disk with the run read the
model from the store, where it lies like a shard and goes with the shards when the stage is done.
"""

import shutil

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Store
from strop.pipeline.models import ModelFolder, resolve_model
from strop.tasks.cluster import current
from strop.tasks.shards import Stage


def weights_for_workers(stage: Stage, name: str) -> ArtifactRef | None:
    """The model's files in the store; None where whoever reads them finds the model by its name."""
    cluster = current()
    if cluster is None or cluster.shares_disk:
        return None
    store, folder = stage.store, resolve_model(name)
    recipe = Recipe("shard", "copy model", 1, {"files": folder.sha256_by_file}, {})
    found = store.lookup(recipe)
    if found is None:
        with store.attempt(recipe) as attempt:
            for file in folder.sha256_by_file:
                (attempt.folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder.path / file, attempt.folder / file)
            found = store.commit(attempt, summary={"files": len(folder.sha256_by_file)})
    stage.attempt.shards.append(found)
    return found.ref


def model_folder(store: Store, name: str, weights: ArtifactRef | None) -> ModelFolder:
    """Where the model is, by its name or in the store."""
    if weights is None:
        return resolve_model(name)
    return ModelFolder(name, store.folder(weights), {})
