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
    check_index_of(store.manifest(dataset).summary["passages"], config)


def check_index_of(passages: int, config: VectorIndex) -> None:
    """The same of a corpus of so many passages."""
    if config.type != "ivf_pq":
        return
    from strop.pipeline.first_stage.index import shard_sizes

    fewest = min(shard_sizes(passages, config))
    if fewest < FEWEST_FOR_CODES:
        what = "a shard" if config.shard_passages else "the corpus"
        way_out = " or more passages a shard" if config.shard_passages else ""
        raise InputError(
            f"first_stage.index.type = 'ivf_pq': {what} has {fewest:,} passages, expected "
            f"{FEWEST_FOR_CODES:,} or more to train product codes on; take exact, hnsw or "
            f"ivf{way_out}"
        )


@stage_task("build index")
def build_index(place: Place, embeddings: ArtifactRef, config: VectorIndex) -> Any:
    """Build the index from the embedding shards, in one file or, where it is cut, in several."""
    parameters = _parameters(config)
    recipe = Recipe("index", "build index", 3, parameters, {"embeddings": embeddings})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage import index

        passages = PassageVectors(place.open(), embeddings)
        sizes, first, facts = index.shard_sizes(len(passages), config), 0, {}
        progress.start(len(passages), "passages")
        for number, size in enumerate(sizes):
            some = index.between(passages.blocks, first, first + size)
            built: Any = index.build_index(some, size, passages.width, config, progress)
            name = f"index-{number:05d}.faiss" if len(sizes) > 1 else "index.faiss"
            index.write_index(built, attempt.folder / name)
            facts = {"lists": built.nlist} if config.type != "hnsw" else {}
            first += size
        size = sum(path.stat().st_size for path in attempt.folder.glob("index*.faiss"))
        return {
            "type": config.type,
            "passages": len(passages),
            "width": passages.width,
            "bytes_a_passage": round(size / len(passages), 1),
            **({"shards": len(sizes)} if len(sizes) > 1 else {}),
            **facts,
        }

    return carry_out(place, recipe, compute)


def _parameters(config: VectorIndex) -> dict[str, Any]:
    """What its type is built by; the rest says how it is searched."""
    names = {
        "hnsw": ("links", "breadth"),
        "ivf": ("lists",),
        "ivf_pq": ("lists", "code_dimensions"),
    }[config.type]
    cut = {"shard_passages": config.shard_passages} if config.shard_passages else {}
    return {"type": config.type, **cut} | {name: getattr(config, name) for name in names}
