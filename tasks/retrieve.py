"""The candidates artifact: the first stage's best passages for every query of every split."""

from typing import Any

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import CANDIDATES
from strop.artifacts.store import Attempt
from strop.pipeline.config import VectorIndex
from strop.pipeline.progress import Progress
from strop.tasks.documents import document_map
from strop.tasks.passage_vectors import PassageVectors
from strop.tasks.searching import Searching, search
from strop.tasks.shards import Stage
from strop.tasks.stage import Place, carry_out, stage_task

DENSE = "dense"


@stage_task("retrieve")
def retrieve(
    place: Place,
    dataset: ArtifactRef,
    embeddings: ArtifactRef,
    depth: int,
    source: str = DENSE,
    *,
    index: ArtifactRef | None = None,
    config: VectorIndex | None = None,
) -> Any:
    """Search for every query's nearest passages, and score the judged positives missed too.

    ``source`` is the bi-encoder's name, where it is one of several. Without an index every passage
    is looked at; with one, ``config`` says how it is searched.
    """
    inputs = {"dataset": dataset, "embeddings": embeddings}
    parameters: dict[str, Any] = {"depth": depth} | ({} if source == DENSE else {"source": source})
    if index and config:
        inputs["index"] = index
        parameters["index"] = _search_parameters(config)
    recipe = Recipe("candidates", "retrieve", 3, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage import retrieval
        from strop.pipeline.first_stage.vectors import vector_matrix

        store = place.open()
        passages = PassageVectors(store, embeddings)
        passage_ids = passages.ids()
        queries, qrels = store.table(dataset, "queries"), store.table(dataset, "qrels")
        vectors = vector_matrix(store.table(embeddings, "queries"))
        stage, facts = Stage(store, attempt, progress), {}
        work = Searching(embeddings, min(depth, len(passage_ids)), index, config)
        nearest = search(stage, work, vectors)
        if index:
            facts["share_of_exact"] = work.search(store, stage.models).share_of_exact(vectors)
        path = attempt.folder / "candidates.parquet"
        found = retrieval.candidate_tables(nearest, passage_ids, queries, source)
        rows = tables.write_batches(path, found, CANDIDATES)
        documents = document_map(store, dataset)
        judged = documents.passages_of(qrels)
        scores = retrieval.positive_scores(passages.blocks, passage_ids, queries, vectors, judged)
        attempt.write_table("positives", documents.best_passages(scores))
        ceiling = retrieval.recall_ceiling(tables.iterate_batches(path), qrels, documents)
        return {"rows": rows, "depth": depth, "recall_ceiling": ceiling, **facts}

    return carry_out(place, recipe, compute)


def _search_parameters(config: VectorIndex) -> dict[str, Any]:
    names = {"hnsw": ("breadth",), "ivf": ("probes",), "ivf_pq": ("probes", "refine")}[config.type]
    return {name: getattr(config, name) for name in names}
