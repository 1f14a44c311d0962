"""The candidates artifact by rank fusion: several first stages' candidates as one."""

from typing import Any

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import CANDIDATES
from strop.artifacts.store import Attempt
from strop.pipeline.progress import Progress
from strop.tasks.documents import document_map
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("fuse")
def fuse(
    place: Place,
    dataset: ArtifactRef,
    lists: dict[str, ArtifactRef],
    *,
    constant: int,
    depth: int,
) -> Any:
    """Fuse candidates by their reciprocal ranks; ``lists`` are candidates by role."""
    parameters = {"constant": constant, "depth": depth}
    recipe = Recipe("candidates", "fuse", 1, parameters, {"dataset": dataset, **lists})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage.rank_fusion import (
            COLUMNS,
            FirstStageTables,
            fuse_ranks,
        )
        from strop.pipeline.first_stage.retrieval import recall_ceiling
        from strop.pipeline.query_blocks import KEYS

        store = place.open()
        parts = [
            FirstStageTables(
                store.table(ref, "candidates", columns=COLUMNS, encoded=KEYS),
                store.table(ref, "positives"),
            )
            for ref in lists.values()
        ]
        path = attempt.folder / "candidates.parquet"
        with tables.TableWriter(path, CANDIDATES) as writer:
            positives = fuse_ranks(parts, writer.write, constant=constant, depth=depth)
        documents = document_map(store, dataset)
        attempt.write_table("positives", documents.best_passages(positives))
        found = tables.iterate_batches(path)
        ceiling = recall_ceiling(found, store.table(dataset, "qrels"), documents)
        return {"rows": writer.rows, "depth": depth, "recall_ceiling": ceiling}

    return carry_out(place, recipe, compute)
