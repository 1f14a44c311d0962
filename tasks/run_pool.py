"""A run's rows as candidates of a data set: what run files and pools of the data have in common."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Attempt, Store
from strop.tasks.documents import document_map

if TYPE_CHECKING:
    from strop.pipeline.first_stage.run_file import Lines


def write_run_pool(
    attempt: Attempt, store: Store, dataset: ArtifactRef, run: pa.Table, lines: "Lines", depth: int
) -> dict[str, Any]:
    """Write `candidates` and `positives` of a run's first ``depth`` ranks; returns the summary.

    Raises `InputError`, which names the line, for a run that does not fit the data.
    """
    from strop.pipeline.first_stage.retrieval import recall_ceiling
    from strop.pipeline.first_stage.run_file import run_candidates, run_positives

    qrels = store.table(dataset, "qrels")
    corpus = tables.read_table(store.file(dataset, "corpus.parquet"), columns=["passage_id"])
    queries = store.table(dataset, "queries")
    documents = document_map(store, dataset)
    found = run_candidates(
        run,
        queries,
        corpus["passage_id"].combine_chunks(),
        depth=depth,
        lines=lines,
        documents=documents.table,
    )
    positives = run_positives(run, documents.passages_of(qrels))
    attempt.write_table("candidates", found)
    attempt.write_table("positives", documents.best_passages(positives))
    ceiling = recall_ceiling([found], qrels, documents)
    others = rows_of_other_queries(run, queries)
    return {"rows": len(found), "depth": depth, "recall_ceiling": ceiling, **others}


def rows_of_other_queries(run: pa.Table, queries: pa.Table) -> dict[str, int]:
    """How many rows of a run are of queries that the data set lacks, for a summary, if any are."""
    known = pc.is_in(run["query_id"], value_set=queries["query_id"])
    others = len(run) - int(pc.sum(known).as_py() or 0)
    return {"rows_of_other_queries": others} if others else {}
