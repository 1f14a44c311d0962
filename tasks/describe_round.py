"""The curriculum artifact: how hard and how many the negatives were that a round trained on."""

from typing import Any

import pyarrow as pa

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt
from strop.pipeline.mining.round_table import (
    READ_OF_NEGATIVES,
    READ_OF_SELECTION,
    describe_round,
)
from strop.pipeline.progress import Progress
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("describe round")
def describe(
    place: Place,
    selection: ArtifactRef,
    negatives: ArtifactRef,
    last_negatives: ArtifactRef | None,
    reranker: ArtifactRef,
    number: int,
) -> Any:
    """One row about what the round trained on."""
    roles = {
        "selection": selection,
        "negatives": negatives,
        "last_negatives": last_negatives,
        "reranker": reranker,
    }
    inputs = {role: ref for role, ref in roles.items() if ref is not None}
    recipe = Recipe("curriculum", "describe round", 1, {"round": number}, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        store = place.open()
        summary = store.manifest(selection).summary

        def trained_on(ref: ArtifactRef) -> pa.Table:
            return store.table(ref, "negatives", columns=READ_OF_NEGATIVES)

        table = describe_round(
            number,
            summary["hardness"],
            summary["group_size"],
            store.table(selection, "selection", columns=READ_OF_SELECTION),
            store.table(selection, "group_sizes"),
            trained_on(negatives),
            trained_on(last_negatives) if last_negatives else None,
            store.table(reranker, "train_log"),
        )
        attempt.write_table("curriculum", table)
        row = table.drop_columns(["round", "suspects_by_rule"]).to_pylist()[0]
        return {name: value for name, value in row.items() if value is not None}

    return carry_out(place, recipe, compute)
