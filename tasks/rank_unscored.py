"""The ranking artifact of a split that no reranker has scored: the first stage's order."""

import json
from typing import Any

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt
from strop.pipeline.config import Config
from strop.pipeline.progress import Progress
from strop.tasks.candidates import candidates_of_split
from strop.tasks.documents import document_map
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("rank")
def rank_unscored(
    place: Place, dataset: ArtifactRef, candidates: ArtifactRef, config: Config, split: str
) -> Any:
    """Rank one split by the first stage alone, what a reranker with a fresh head is worth.

    The table is one of `rerank` without scores; its fusion weight is 0.
    """
    inputs = {"dataset": dataset, "candidates": candidates}
    parameters = {"split": split, "depth": config.evaluation.depth}
    recipe = Recipe("ranking", "rank", 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.evaluation.fusion import fuse
        from strop.pipeline.evaluation.max_passage import rank_documents
        from strop.pipeline.evaluation.ranking import build_ranking

        store = place.open()
        table = candidates_of_split(store, candidates, split)
        documents = document_map(store, dataset)
        passages = build_ranking(table, None, config.evaluation.depth)
        if documents:
            attempt.write_table("passages", passages)
        attempt.write_table("ranking", fuse(rank_documents(passages, documents), 0.0))
        text = json.dumps({"weight": 0.0}, indent=1)
        (attempt.folder / "fusion.json").write_text(text, encoding="utf-8")
        return {"split": split, "fusion_weight": 0.0}

    return carry_out(place, recipe, compute)
