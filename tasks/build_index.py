"""The index artifact: an exact FAISS index over the passage embeddings."""

from typing import Any

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.progress import Progress
from strop.tasks.stage import Place, carry_out, stage_task


def passage_shards(store: Store, embeddings: ArtifactRef) -> list[Any]:
    """The paths of the passage shards, in corpus order."""
    manifest = store.manifest(embeddings)
    names = sorted(name for name in manifest.files if name.startswith("passages-"))
    return [store.file(manifest, name) for name in names]


@stage_task("build index")
def build_index(place: Place, embeddings: ArtifactRef) -> Any:
    """Build the index from the embedding shards."""
    recipe = Recipe("index", "build index", 1, {"type": "flat"}, {"embeddings": embeddings})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage.encoding import vector_matrix
        from strop.pipeline.first_stage.index import build_flat_index, write_index

        shards = passage_shards(place.open(), embeddings)
        matrices = (vector_matrix(tables.read_table(path)) for path in shards)
        index = build_flat_index(matrices)
        write_index(index, attempt.folder / "index.faiss")
        return {"type": "flat", "passages": index.ntotal, "width": index.d}

    return carry_out(place, recipe, compute)
