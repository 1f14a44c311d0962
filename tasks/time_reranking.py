"""The latency artifact: which queries were timed; how long they took is an execution fact."""

from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import TIMED
from strop.artifacts.store import Attempt
from strop.pipeline.config import Config
from strop.pipeline.progress import Progress
from strop.tasks.candidates import candidates_of_split
from strop.tasks.pair_source import pair_source
from strop.tasks.score import scoring_parameters
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("time reranking")
def time_reranking(
    place: Place,
    candidates: ArtifactRef,
    tokens: ArtifactRef,
    reranker: ArtifactRef,
    config: Config,
) -> Any:
    """Rerank a few dev queries one by one at every depth, with the clock running.

    The clock's readings stand in the manifest, which no digest covers: a slower machine gives no
    artifact another id.
    """
    inputs = {"candidates": candidates, "tokens": tokens, "reranker": reranker}
    parameters = {
        **scoring_parameters(config),
        "depths": list(config.evaluation.cuts),
        "split": "dev",
        "seed": config.seed,
    }
    recipe = Recipe("latency", "time reranking", 4, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.scoring.latency import measure, sample
        from strop.pipeline.scoring.reranker import load_reranker
        from strop.pipeline.scoring.scorer import Scorer

        store = place.open()
        queries = sample(candidates_of_split(store, candidates, "dev"), seed=config.seed)
        pairs = pa.concat_tables(queries)
        source = pair_source(store, tokens, pairs["query_id"], pairs["passage_id"])
        trusted = config.reranker.trust_remote_code
        loaded = load_reranker(store.folder(reranker), trust_remote_code=trusted)
        scorer = Scorer(loaded, source, config.reranker)
        found = list(
            measure(
                lambda query: list(scorer.score(query)), queries, config.evaluation.cuts, progress
            )
        )
        attempt.write_table("timed", _timed(queries, config.evaluation.cuts))
        attempt.execution["latency"] = [asdict(item) for item in found]
        return {f"p50 ms at depth {item.depth}": round(item.p50_ms, 2) for item in found}

    return carry_out(place, recipe, compute, gpu_slot=config.execution.gpu_slot)


def _timed(queries: list[pa.Table], depths: tuple[int, ...]) -> pa.Table:
    rows = [
        {
            "query_id": query["query_id"][0].as_py(),
            "depth": depth,
            "pairs": int(pc.sum(pc.less_equal(query["rank"], depth)).as_py()),
        }
        for depth in depths
        for query in queries
    ]
    return pa.Table.from_pylist(rows, schema=TIMED)
