"""The index artifact: a FAISS index that finds near passages without looking at all of them."""

from typing import Any

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import VectorIndex
from strop.pipeline.errors import InputError
from strop.pipeline.progress import Progress
from strop.tasks.passage_vectors import PassageVectors
from strop.tasks.stage import Place, carry_out, stage_task

FEWEST_FOR_CODES = 10_000
"""Passages from which the 256 centroids of a product code can be trained."""


def check_index(store: Store, dataset: ArtifactRef, config: VectorIndex) -> None:
    """Raise `InputError` for an index that the corpus is too small for."""
    passages = store.manifest(dataset).summary["passages"]
    if config.type == "ivf_pq" and passages < FEWEST_FOR_CODES:
        raise InputError(
            f"first_stage.index.type = 'ivf_pq': the corpus has {passages:,} passages, expected "
            f"{FEWEST_FOR_CODES:,} or more to train product codes on; take exact, hnsw or ivf"
        )


@stage_task("build index")
def build_index(place: Place, embeddings: ArtifactRef, config: VectorIndex) -> Any:
    """Build the index from the embedding shards."""
    parameters = _parameters(config)
    recipe = Recipe("index", "build index", 2, parameters, {"embeddings": embeddings})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage import index

        passages = PassageVectors(place.open(), embeddings)
        built: Any = index.build_index(
            passages.blocks, len(passages), passages.width, config, progress=progress
        )
        path = attempt.folder / "index.faiss"
        index.write_index(built, path)
        return {
            "type": config.type,
            "passages": built.ntotal,
            "width": built.d,
            "bytes_a_passage": round(path.stat().st_size / built.ntotal, 1),
            **({"lists": built.nlist} if config.type != "hnsw" else {}),
        }

    return carry_out(place, recipe, compute)


def _parameters(config: VectorIndex) -> dict[str, Any]:
    """What its type is built by; the rest says how it is searched."""
    names = {
        "hnsw": ("links", "breadth"),
        "ivf": ("lists",),
        "ivf_pq": ("lists", "code_dimensions"),
    }[config.type]
    return {"type": config.type} | {name: getattr(config, name) for name in names}
