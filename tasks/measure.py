"""The metrics and the diagnosis of a ranking."""

from typing import Any

import pyarrow as pa

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Config, Training
from strop.pipeline.progress import Progress
from strop.tasks.stage import Place, carry_out, stage_task

RANKINGS = ("first_stage", "reranker", "fused")
UNSCORED = ("first_stage", "fused")
"""Of a ranking without scores, whose fused order is the first stage's."""


@stage_task("evaluate")
def evaluate(
    place: Place,
    dataset: ArtifactRef,
    ranking: ArtifactRef,
    config: Config,
    split: str,
    kinds: tuple[str, ...] = RANKINGS,
) -> Any:
    """Every metric of the first stage, the reranker alone and both fused, by query.

    Of a ranking that has not all of these orders, ``kinds`` are those that it has.
    """
    settings = config.evaluation
    parameters = {
        "split": split,
        "metrics": list(settings.metrics),
        "depth": settings.depth,
        "samples": settings.bootstrap_samples,
        "seed": config.seed,
        **({"kinds": list(kinds)} if kinds != RANKINGS else {}),
    }
    inputs = {"dataset": dataset, "ranking": ranking}
    recipe = Recipe("metrics", "evaluate", 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.evaluation import metrics

        store = place.open()
        qrels, queries = store.table(dataset, "qrels"), store.table(dataset, "queries")
        judgements = metrics.judge(qrels, queries, split=split)
        table = store.table(ranking, "ranking")
        parts = [
            metrics.per_query_metrics(
                table, judgements, kind=kind, depth=settings.depth, metrics=settings.metrics
            )
            for kind in kinds
        ]
        per_query = pa.concat_tables(parts).unify_dictionaries()
        summary = metrics.summarise(per_query, seed=config.seed, samples=settings.bootstrap_samples)
        attempt.write_table("per_query", per_query)
        attempt.write_table("summary", summary)
        return {"split": split, "queries": len(judgements.query_ids), **_headline(summary)}

    return carry_out(place, recipe, compute)


def _headline(summary: pa.Table) -> dict[str, float]:
    """Not rounded here: who shows a figure rounds it, once, so that it reads alike everywhere."""
    first = summary["metric"][0].as_py()
    return {
        f"{row['ranking']} {first}": float(row["value"])
        for row in summary.to_pylist()
        if row["metric"] == first
    }


@stage_task("diagnose")
def diagnose(
    place: Place,
    dataset: ArtifactRef,
    ranking: ArtifactRef,
    reranker: ArtifactRef,
    config: Training,
    split: str,
    before: ArtifactRef | None = None,
) -> Any:
    """How the reranker's scores of positives and negatives lie to each other, with alarms.

    ``reranker`` is what was trained as ``config`` says; ``before`` the ranking of the last accepted
    round, where there is one.
    """
    inputs = {"dataset": dataset, "ranking": ranking, "reranker": reranker}
    inputs |= {"before": before} if before else {}
    recipe = Recipe("diagnosis", "diagnose", 7, {"split": split}, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.evaluation import alarms, diagnosis, metrics
        from strop.pipeline.training.lesson import loss_share, stayed_flat

        store = place.open()
        qrels, queries = store.table(dataset, "qrels"), store.table(dataset, "queries")
        judgements = metrics.judge(qrels, queries, split=split)
        earlier = store.table(before, "ranking") if before else None
        log = store.table(reranker, "train_log")
        found = diagnosis.diagnose(
            store.table(ranking, "ranking"),
            judgements,
            before=earlier,
            loss_share=loss_share(log, config),
            stayed_flat=stayed_flat(log, config),
        )
        attempt.write_table("summary", found.summary)
        attempt.write_table("histogram", found.histogram)
        attempt.write_table("reliability", found.reliability)
        attempt.write_table("alarms", alarms.alarms_table(found.alarms, split))
        values = {row["name"]: float(row["value"]) for row in found.summary.to_pylist()}
        return {**values, "alarms": ", ".join(a.name for a in found.alarms) or "none"}

    return carry_out(place, recipe, compute)


def dev_health(store: Store, made: dict[str, ArtifactRef]) -> tuple[float, float]:
    """How a round's reranker alone ranks dev by the first metric, and its scores' gap."""
    summary = store.table(made["metrics_dev"], "summary").to_pylist()
    first = summary[0]["metric"]
    value = next(
        row["value"] for row in summary if row["metric"] == first and row["ranking"] == "reranker"
    )
    numbers = store.table(made["diagnosis"], "summary").to_pylist()
    gap = next((row["value"] for row in numbers if row["name"] == "gap"), 0.0)
    return float(value), float(gap)
