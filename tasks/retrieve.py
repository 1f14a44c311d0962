"""The candidates artifact: the first stage's best passages for every query of every split."""

from typing import Any

import pyarrow as pa

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import CANDIDATES
from strop.artifacts.store import Attempt
from strop.pipeline.progress import Progress
from strop.tasks.build_index import passage_shards
from strop.tasks.documents import document_map
from strop.tasks.stage import Place, carry_out, stage_task

DENSE = "dense"


@stage_task("retrieve")
def retrieve(
    place: Place,
    dataset: ArtifactRef,
    embeddings: ArtifactRef,
    index: ArtifactRef,
    depth: int,
    source: str = DENSE,
) -> Any:
    """Search the index for every query, and score the judged positives that it missed too.

    ``source`` is the bi-encoder's name, where it is one of several.
    """
    inputs = {"dataset": dataset, "embeddings": embeddings, "index": index}
    parameters = {"depth": depth} | ({} if source == DENSE else {"source": source})
    recipe = Recipe("candidates", "retrieve", 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage import retrieval
        from strop.pipeline.first_stage.encoding import vector_matrix
        from strop.pipeline.first_stage.index import read_index

        store = place.open()
        faiss_index = read_index(store.file(index, "index.faiss"))
        shards = passage_shards(store, embeddings)
        columns = [tables.read_table(path, columns=["id"])["id"] for path in shards]
        passage_ids = pa.concat_arrays([chunk for column in columns for chunk in column.chunks])
        queries, qrels = store.table(dataset, "queries"), store.table(dataset, "qrels")
        vectors = vector_matrix(store.table(embeddings, "queries"))
        found = retrieval.retrieve(
            faiss_index,
            passage_ids,
            queries,
            vectors,
            depth=depth,
            source=source,
            progress=progress,
        )
        path = attempt.folder / "candidates.parquet"
        rows = tables.write_batches(path, found, CANDIDATES)
        documents = document_map(store, dataset)
        judged = documents.passages_of(qrels)
        scores = retrieval.positive_scores(faiss_index, passage_ids, queries, vectors, judged)
        attempt.write_table("positives", documents.best_passages(scores))
        ceiling = retrieval.recall_ceiling(documents.best_ranks(tables.read_table(path)), qrels)
        return {"rows": rows, "depth": depth, "recall_ceiling": ceiling}

    return carry_out(place, recipe, compute)
