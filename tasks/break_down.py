"""Where the quality comes from: by depth, by slices of the queries, and what splits can show."""

import json
from typing import Any

import pyarrow as pa

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Config
from strop.pipeline.progress import Progress
from strop.tasks.stage import Place, carry_out, stage_task

Refs = dict[str, ArtifactRef]


@stage_task("break down")
def break_down(
    place: Place,
    dataset: ArtifactRef,
    metrics: dict[int, ArtifactRef],
    last_by_split: Refs,
    config: Config,
    split: str,
) -> Any:
    """The rankings that these metrics measured on a split, by depth and by slice.

    ``metrics`` are by round; ``last_by_split`` are the last round's on every split that has been
    measured, for the smallest difference that each can show.
    """
    settings = config.evaluation
    parameters = {
        "split": split,
        "depths": list(settings.cuts),
        "metrics": list(settings.metrics),
        "samples": settings.bootstrap_samples,
        "seed": config.seed,
    }
    inputs = {"dataset": dataset, **{f"metrics {n}": ref for n, ref in metrics.items()}}
    inputs |= {f"last on {name}": ref for name, ref in last_by_split.items()}
    recipe = Recipe("breakdown", "break down", 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.evaluation.depths import depths_table
        from strop.pipeline.evaluation.metrics import judge, metric_label, parse_metric
        from strop.pipeline.evaluation.results import power_table
        from strop.pipeline.evaluation.slices import query_facts, slices_table

        store = place.open()
        queries = store.table(dataset, "queries")
        judgements = judge(store.table(dataset, "qrels"), queries, split=split)
        ranked = {number: _ranked(store, ref) for number, ref in metrics.items()}
        drawn = {"seed": config.seed, "samples": settings.bootstrap_samples}
        main = metric_label(parse_metric(settings.metrics[0]))
        facts = query_facts(next(iter(ranked.values())).table, queries, judgements)
        depths = depths_table(
            ranked, judgements, depths=settings.cuts, metrics=settings.metrics, **drawn
        )
        slices = [
            slices_table(
                store.table(ref, "per_query"),
                facts,
                round_=number,
                split=split,
                ranking="fused",
                metric=main,
                **drawn,
            )
            for number, ref in metrics.items()
        ]
        measured = {name: store.table(ref, "per_query") for name, ref in last_by_split.items()}
        power = power_table(measured, metric=main, **drawn)
        attempt.write_table("depths", depths)
        attempt.write_table("slices", pa.concat_tables(slices).unify_dictionaries())
        attempt.write_table("power", power)
        detectable = {
            f"smallest detectable on {row['split']}": round(row["smallest_detectable"], 4)
            for row in power.to_pylist()
        }
        return {"split": split, "rounds": len(ranked), **detectable}

    return carry_out(place, recipe, compute)


def _ranked(store: Store, metrics: ArtifactRef) -> Any:
    from strop.pipeline.evaluation.depths import Ranked

    ranking = store.manifest(metrics).inputs["ranking"]
    fusion = json.loads(store.file(ranking, "fusion.json").read_bytes())
    return Ranked(store.table(ranking, "ranking"), float(fusion["weight"]))
