"""The ranking artifact of a user's own run: the order that its file gives to the candidates."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt
from strop.pipeline.errors import InputError
from strop.pipeline.progress import Progress
from strop.tasks.candidates import candidates_of_split
from strop.tasks.documents import document_map
from strop.tasks.run_pool import rows_of_other_queries
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("rank run file")
def rank_run_file(
    place: Place,
    dataset: ArtifactRef,
    candidates: ArtifactRef,
    run_file: ArtifactRef,
    path: Path,
    split: str,
) -> Any:
    """One split's candidates in the run's order; ``path`` is for messages only.

    Queries that the data set lacks are left out. Raises `InputError` for a passage that it lacks,
    and for a run that ranks none of the candidates.
    """
    inputs = {"dataset": dataset, "candidates": candidates, "run_file": run_file}
    recipe = Recipe("ranking", "rank run file", 1, {"split": split}, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.evaluation.run_ranking import run_ranking
        from strop.pipeline.first_stage.run_file import Lines, known_query_rows

        store = place.open()
        run, queries = store.table(run_file, "run"), store.table(dataset, "queries")
        lines = Lines(str(path), store.manifest(run_file).summary["first_line"])
        corpus = tables.read_table(store.file(dataset, "corpus.parquet"), columns=["passage_id"])
        documents = document_map(store, dataset)
        known = [*corpus["passage_id"].chunks, *documents.table["document_id"].chunks]
        known_query_rows(run, queries, pa.chunked_array(known, pa.string()), lines=lines)
        table = documents.best_ranks(candidates_of_split(store, candidates, split))
        found = run_ranking(documents.best_ranks(run), table)
        if not len(found.table):
            raise InputError(
                f"{path}: ranks none of the candidates of the {split} queries, expected a ranking "
                "of the passages that the runs rerank"
            )
        attempt.write_table("ranking", found.table)
        return {
            "split": split,
            "queries": pc.count_distinct(found.table["query_id"]).as_py(),
            "rows": len(found.table),
            "rows_of_no_candidate": found.num_others,
            **rows_of_other_queries(run, queries),
        }

    return carry_out(place, recipe, compute)
