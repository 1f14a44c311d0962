"""The scores artifact: a reranker over the pool of a round's queries."""

from typing import Any

import pyarrow as pa

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import SCORES
from strop.artifacts.store import Attempt
from strop.pipeline.config import Config
from strop.pipeline.encoded import compact
from strop.pipeline.mining.pool import KEYS, pairs_to_score
from strop.pipeline.progress import Progress
from strop.tasks.pair_source import score_pairs
from strop.tasks.round_pool import RoundPool, pool_parameters, windows_of_round
from strop.tasks.shards import Stage
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("score")
def score(
    place: Place,
    pool: RoundPool,
    tokens: ArtifactRef,
    reranker: ArtifactRef,
    config: Config,
    number: int,
) -> Any:
    """Score the pool, and the positives that it lacks."""
    inputs = {**pool.refs(), "tokens": tokens, "reranker": reranker}
    parameters = {
        **pool_parameters(place.open(), pool, config, number),
        **scoring_parameters(config),
    }
    recipe = Recipe("scores", "score", 5, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        store = place.open()
        judged = [store.table(pool.candidates, "positives")]
        blocks = windows_of_round(store, pool, config, number, judged, _pairs)
        pairs, missing = zip(*blocks, strict=True)
        pairs = pa.concat_tables([*pairs, *missing]).unify_dictionaries()
        stage = Stage(store, attempt, progress)
        shards = score_pairs(stage, reranker, tokens, pairs, config.reranker)
        path = attempt.folder / "scores.parquet"
        return {"pairs": tables.write_batches(path, shards, SCORES)}

    return carry_out(place, recipe, compute, gpu_slot=config.execution.gpu_slot)


def _pairs(window: pa.Table, positives: pa.Table) -> tuple[pa.Table, ...]:
    return tuple(compact(table, KEYS) for table in pairs_to_score(window, positives))


def scoring_parameters(config: Config) -> dict[str, Any]:
    """The identity parameters that decide a score's bits."""
    names = {"max_tokens", "max_query_tokens", "batch_tokens", "shard_pairs", "trust_remote_code"}
    if "precision" in config.reranker.said():  # scores had ids before they had a precision
        names.add("precision")
    return config.reranker.model_dump(mode="json", include=names)
