"""The scores artifact: the last round's reranker over the pool of this round's queries."""

from typing import Any

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import SCORES
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Config
from strop.pipeline.mining.pool import pairs_to_score, pool_rows, round_queries, window_rows
from strop.pipeline.progress import Progress
from strop.tasks.pair_source import score_pairs
from strop.tasks.stage import Place, carry_out, stage_task


def window_of_round(
    store: Store, dataset: ArtifactRef, candidates: ArtifactRef, config: Config, number: int
) -> Any:
    """The candidates that round ``number`` may take negatives from."""
    chosen = round_queries(
        store.table(dataset, "queries"),
        store.table(dataset, "qrels"),
        round_number=number,
        limit=config.mining.queries_per_round,
        seed=config.seed,
    )
    return window_rows(store.table(candidates, "candidates"), chosen, config.mining)


def pool_parameters(config: Config, number: int) -> dict[str, Any]:
    """The identity parameters that decide a round's pool."""
    limit = config.mining.queries_per_round
    return {
        "min_rank": config.mining.min_rank,
        "pool_size": config.mining.pool_size,
        "queries_per_round": limit,
        **({"round": number, "seed": config.seed} if limit is not None else {}),
    }


@stage_task("score")
def score(
    place: Place,
    dataset: ArtifactRef,
    candidates: ArtifactRef,
    tokens: ArtifactRef,
    reranker: ArtifactRef,
    config: Config,
    number: int,
) -> Any:
    """Score the pool, and the positives that it lacks."""
    inputs = {
        "dataset": dataset,
        "candidates": candidates,
        "tokens": tokens,
        "reranker": reranker,
    }
    parameters = {**pool_parameters(config, number), **scoring_parameters(config)}
    recipe = Recipe("scores", "score", 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        store = place.open()
        window = window_of_round(store, dataset, candidates, config, number)
        pool = pool_rows(window, config.mining)
        pairs = pairs_to_score(pool, store.table(dataset, "qrels"))
        shards = score_pairs(
            store, reranker, tokens, pairs, config=config.reranker, progress=progress
        )
        path = attempt.folder / "scores.parquet"
        return {"pairs": tables.write_batches(path, shards, SCORES)}

    return carry_out(place, recipe, compute)


def scoring_parameters(config: Config) -> dict[str, Any]:
    """The identity parameters that decide a score's bits."""
    names = {"max_tokens", "max_query_tokens", "batch_tokens", "shard_pairs", "trust_remote_code"}
    return config.reranker.model_dump(mode="json", include=names)
