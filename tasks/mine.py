"""Mining: a decision on every pool row, then the negatives and the suspects read off it."""

import json
from typing import Any

import pyarrow as pa

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt
from strop.pipeline.config import Config
from strop.pipeline.mining import negatives as derived
from strop.pipeline.mining.duplicates import text_keys
from strop.pipeline.mining.selection import Round, pool_with_positives, select
from strop.pipeline.progress import Progress
from strop.tasks.score import pool_parameters, window_of_round
from strop.tasks.stage import Place, carry_out, stage_task

Optional = ArtifactRef | None


@stage_task("select")
def select_candidates(
    place: Place,
    dataset: ArtifactRef,
    candidates: ArtifactRef,
    scores: Optional,
    ranking: Optional,
    config: Config,
    number: int,
) -> Any:
    """Decide on every pool row; without scores the first stage mines.

    ``ranking`` is the last round's ranking of dev, whose fusion weight says what mines.
    """
    roles = {"dataset": dataset, "candidates": candidates, "scores": scores, "ranking": ranking}
    inputs = {role: ref for role, ref in roles.items() if ref is not None}
    parameters = {
        **config.mining.model_dump(mode="json"),
        **pool_parameters(config, number),
        "round": number,
        "rounds": config.rounds,
        "seed": config.seed,
        "temperature": config.training.temperature,
    }
    recipe = Recipe("selection", "select", 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        store = place.open()
        rows = pool_with_positives(
            window_of_round(store, dataset, candidates, config, number),
            store.table(candidates, "positives"),
            store.table(scores, "scores") if scores else None,
        )
        weight = fusion_weight(place, ranking) if ranking and scores else 0.0
        this = Round(number, config.rounds, config.seed, config.training.temperature, weight)
        corpus = tables.iterate_batches(store.file(dataset, "corpus.parquet"))
        keys = text_keys(corpus, rows["passage_id"].combine_chunks())
        selection = select(rows, keys, config.mining, this)
        attempt.write_table("selection", selection)
        source = "first stage" if weight == 0 else f"reranker at fusion weight {weight:g}"
        counts = derived.mining_summary(selection, config.mining.group_size)
        return {"mined_by": source, **counts}

    return carry_out(place, recipe, compute)


def fusion_weight(place: Place, ranking: ArtifactRef) -> float:
    """The fusion weight that dev chose for a ranking's reranker."""
    path = place.open().file(ranking, "fusion.json")
    return float(json.loads(path.read_bytes())["weight"])


@stage_task("list negatives")
def list_negatives(place: Place, dataset: ArtifactRef, selection: ArtifactRef) -> Any:
    """One row a query: its positives and its negatives, the hardest first."""
    inputs = {"dataset": dataset, "selection": selection}
    recipe = Recipe("negatives", "list negatives", 1, {}, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        store = place.open()
        table = derived.negatives(
            store.table(selection, "selection"), store.table(dataset, "queries")
        )
        attempt.write_table("negatives", table)
        return {"queries": table.num_rows, "pairs": _sum(table["group_size"])}

    return carry_out(place, recipe, compute)


@stage_task("list suspects")
def list_suspects(place: Place, selection: ArtifactRef) -> Any:
    """The candidates that are probably unlabelled positives."""
    recipe = Recipe("suspects", "list suspects", 1, {}, {"selection": selection})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        table = derived.suspects(place.open().table(selection, "selection"))
        attempt.write_table("suspects", table)
        return {"suspects": table.num_rows}

    return carry_out(place, recipe, compute)


def _sum(column: pa.ChunkedArray) -> int:
    return int(column.to_numpy().sum())
