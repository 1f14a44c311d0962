"""The candidates artifact by rank fusion: several first stages' candidates as one."""

from typing import Any

from strop.artifacts.manifest import ArtifactRef, Recipe
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
        from strop.pipeline.first_stage.rank_fusion import FirstStageTables, fuse_ranks
        from strop.pipeline.first_stage.retrieval import recall_ceiling

        store = place.open()
        parts = [
            FirstStageTables(store.table(ref, "candidates"), store.table(ref, "positives"))
            for ref in lists.values()
        ]
        fused = fuse_ranks(parts, constant=constant, depth=depth)
        attempt.write_table("candidates", fused.candidates)
        documents = document_map(store, dataset)
        attempt.write_table("positives", documents.best_passages(fused.positives))
        ceiling = recall_ceiling([fused.candidates], store.table(dataset, "qrels"), documents)
        return {"rows": fused.candidates.num_rows, "depth": depth, "recall_ceiling": ceiling}

    return carry_out(place, recipe, compute)
