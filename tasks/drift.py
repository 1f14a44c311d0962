"""The drift artifact: what new data make of the old ones that a champion comes from."""

from typing import Any

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Config
from strop.pipeline.progress import Progress
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("note drift")
def measure_drift(
    place: Place,
    dataset: ArtifactRef,
    before: ArtifactRef,
    negatives: ArtifactRef | None,
    metrics: ArtifactRef,
    ranking: str,
    config: Config,
) -> Any:
    """Which of the champion's negatives are left, and how it does on dev queries that are new.

    ``metrics`` are the champion's on today's dev, of which ``ranking`` is the order that counts.
    """
    from strop.pipeline.evaluation.metrics import metric_label, parse_metric

    metric = metric_label(parse_metric(config.evaluation.metrics[0]))
    inputs = {"dataset": dataset, "before": before, "metrics": metrics}
    inputs |= {"negatives": negatives} if negatives else {}
    recipe = Recipe("drift", "note drift", 1, {"ranking": ranking, "metric": metric}, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.evaluation import data_drift

        store = place.open()
        now = store.table(dataset, "queries")
        old, new = (
            tables.iterate_batches(store.file(ref, "corpus.parquet")) for ref in (before, dataset)
        )
        left = None
        if negatives:
            mined = store.table(negatives, "negatives")
            left = data_drift.old_negatives(mined, old, new, now)
            attempt.write_table("negatives", left)
        queries = data_drift.dev_queries(
            store.table(metrics, "per_query"),
            store.table(before, "queries"),
            now,
            ranking=ranking,
            metric=metric,
        )
        attempt.write_table("queries", queries)
        return data_drift.drift_summary(left, queries, metric)

    return carry_out(place, recipe, compute)


def drift_sentence(store: Store, drift: ArtifactRef, champion: str) -> str:
    """What a drift artifact says, in a sentence or two."""
    from strop.pipeline.evaluation.data_drift import drift_note

    return drift_note(store.manifest(drift).summary, champion)
