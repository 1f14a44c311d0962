"""The candidates artifact by BM25: the passages whose words speak most for each query."""

from typing import Any

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import CANDIDATES
from strop.artifacts.store import Attempt
from strop.pipeline.progress import Progress
from strop.tasks.documents import document_map
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("retrieve bm25")
def retrieve_words(place: Place, dataset: ArtifactRef, index: ArtifactRef, depth: int) -> Any:
    """Search the word index for every query, and score the judged positives that it missed too."""
    inputs = {"dataset": dataset, "index": index}
    recipe = Recipe("candidates", "retrieve bm25", 1, {"depth": depth}, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage import bm25
        from strop.pipeline.first_stage.retrieval import recall_ceiling

        store = place.open()
        words = bm25.read_word_index(store.folder(index))
        corpus = tables.read_table(store.file(dataset, "corpus.parquet"), columns=["passage_id"])
        passage_ids = corpus["passage_id"].combine_chunks()
        queries, qrels = store.table(dataset, "queries"), store.table(dataset, "qrels")
        found = bm25.retrieve(words, passage_ids, queries, depth=depth, progress=progress)
        path = attempt.folder / "candidates.parquet"
        rows = tables.write_batches(path, found, CANDIDATES)
        documents = document_map(store, dataset)
        judged = documents.passages_of(qrels)
        scores = bm25.positive_scores(words, passage_ids, queries, judged)
        attempt.write_table("positives", documents.best_passages(scores))
        ceiling = recall_ceiling(tables.iterate_batches(path), qrels, documents)
        return {"rows": rows, "depth": depth, "recall_ceiling": ceiling}

    return carry_out(place, recipe, compute)
