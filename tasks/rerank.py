"""The ranking artifact: one split's candidates in the order of a reranker, alone and fused."""

import json
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt
from strop.pipeline.config import Config
from strop.pipeline.progress import Progress
from strop.tasks.candidates import candidates_of_split
from strop.tasks.documents import document_map, judges_documents
from strop.tasks.pair_source import score_pairs
from strop.tasks.score import scoring_parameters
from strop.tasks.shards import Stage
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("rerank")
def rerank(
    place: Place,
    dataset: ArtifactRef,
    candidates: ArtifactRef,
    tokens: ArtifactRef,
    reranker: ArtifactRef,
    config: Config,
    split: str,
    weight: float | None = None,
) -> Any:
    """Rerank one split; the fusion weight is the one given, or chosen on this split."""
    inputs = {
        "dataset": dataset,
        "candidates": candidates,
        "tokens": tokens,
        "reranker": reranker,
    }
    depth, metric = config.evaluation.depth, config.evaluation.metrics[0]
    parameters = {
        **scoring_parameters(config),
        "split": split,
        "depth": depth,
        "weight": weight if weight is not None else f"best {metric}",
    }
    of_documents = judges_documents(place.open(), dataset)  # which keep their passages' scores
    recipe = Recipe("ranking", "rerank", 5 if of_documents else 4, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.evaluation.fusion import choose_weight, fuse
        from strop.pipeline.evaluation.max_passage import rank_documents
        from strop.pipeline.evaluation.metrics import judge
        from strop.pipeline.evaluation.ranking import build_ranking, within_depth

        store = place.open()
        table = candidates_of_split(store, candidates, split)
        scored = within_depth(table, depth)
        stage = Stage(store, attempt, progress)
        shards = score_pairs(stage, reranker, tokens, scored, config.reranker)
        scores = pa.concat_tables(shards)["score"].to_numpy()
        documents = document_map(store, dataset)
        passages = build_ranking(table, scores, depth)
        if documents:
            attempt.write_table("passages", passages)
        ranking = rank_documents(passages, documents)
        fusion: dict[str, Any] = {"weight": weight}
        if weight is None:
            judgements = judge(
                store.table(dataset, "qrels"), store.table(dataset, "queries"), split=split
            )
            fusion = asdict(choose_weight(ranking, judgements, metric=metric))
        attempt.write_table("ranking", fuse(ranking, fusion["weight"]))
        text = json.dumps(fusion, indent=1, sort_keys=True)
        (attempt.folder / "fusion.json").write_text(text, encoding="utf-8")
        return {"split": split, "pairs": scored.num_rows, "fusion_weight": fusion["weight"]}

    return carry_out(place, recipe, compute, gpu_slot=config.execution.gpu_slot)
