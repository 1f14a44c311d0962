"""Where the quality comes from: by depth, by slices of the queries, and what splits can show."""

import json
from typing import Any

import pyarrow as pa

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Config
from strop.pipeline.progress import Progress
from strop.tasks.documents import document_map, judges_documents
from strop.tasks.query_fields import query_fields
from strop.tasks.stage import Place, carry_out, stage_task

Refs = dict[str, ArtifactRef]
Metrics = dict[int, ArtifactRef]
PASSAGES = "passages.parquet"
"""What rankings of documents have since the recipe of version 5."""


@stage_task("break down")
def break_down(
    place: Place,
    dataset: ArtifactRef,
    metrics: Metrics,
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
        **({} if settings.slices is None else {"slices": list(settings.slices)}),
    }
    inputs = {"dataset": dataset, **{f"metrics {n}": ref for n, ref in metrics.items()}}
    inputs |= {f"last on {name}": ref for name, ref in last_by_split.items()}
    of_documents = judges_documents(place.open(), dataset)  # which are cut by their passages
    recipe = Recipe("breakdown", "break down", 2 if of_documents else 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.evaluation.results import smallest_gains

        store = place.open()
        depths, slices = _depths_and_slices(store, dataset, metrics, config, split)
        power = _power(store, last_by_split, config)
        attempt.write_table("depths", depths)
        attempt.write_table("slices", slices)
        attempt.write_table("power", power)
        detectable = {
            f"smallest detectable on {name}": gain for name, gain in smallest_gains(power).items()
        }
        rounds = sum(number > 0 for number in metrics)  # round 0 is what there was before
        return {"split": split, "rounds": rounds, **detectable}

    return carry_out(place, recipe, compute)


def _depths_and_slices(
    store: Store, dataset: ArtifactRef, metrics: Metrics, config: Config, split: str
) -> tuple[pa.Table, pa.Table]:
    from strop.pipeline.evaluation.depths import depths_table
    from strop.pipeline.evaluation.metrics import judge
    from strop.pipeline.evaluation.slices import query_facts, slices_table

    settings, drawn = config.evaluation, _drawn(config)
    queries, fields = store.table(dataset, "queries"), query_fields(store, dataset)
    judgements = judge(store.table(dataset, "qrels"), queries, split=split)
    rankings = {number: store.manifest(ref).inputs["ranking"] for number, ref in metrics.items()}
    first = store.table(next(iter(rankings.values())), "ranking")
    facts = query_facts(first, queries, judgements, fields=fields, asked=settings.slices)
    depths = depths_table(
        _ranked(store, dataset, rankings),
        judgements,
        depths=_cuts(store, dataset, rankings, config),
        metrics=settings.metrics,
        **drawn,
    )
    slices = [
        slices_table(
            store.table(ref, "per_query"),
            facts,
            round_=number,
            split=split,
            ranking="fused",
            metric=_main_metric(config),
            **drawn,
        )
        for number, ref in metrics.items()
    ]
    return depths, pa.concat_tables(slices).unify_dictionaries()


def _power(store: Store, last_by_split: Refs, config: Config) -> pa.Table:
    from strop.pipeline.evaluation.results import power_table

    measured = {name: store.table(ref, "per_query") for name, ref in last_by_split.items()}
    return power_table(measured, metric=_main_metric(config), **_drawn(config))


def _drawn(config: Config) -> dict[str, int]:
    return {"seed": config.seed, "samples": config.evaluation.bootstrap_samples}


def _main_metric(config: Config) -> str:
    from strop.pipeline.evaluation.metrics import metric_label, parse_metric

    return metric_label(parse_metric(config.evaluation.metrics[0]))


def _ranked(store: Store, dataset: ArtifactRef, rankings: Metrics) -> dict[int, Any]:
    from strop.pipeline.evaluation.depths import Ranked

    found, documents = dict[int, Any](), document_map(store, dataset)
    for number, ref in rankings.items():
        weight = float(json.loads(store.file(ref, "fusion.json").read_bytes())["weight"])
        if PASSAGES in store.manifest(ref).files:
            found[number] = Ranked(store.table(ref, "passages"), weight, documents)
        else:
            found[number] = Ranked(store.table(ref, "ranking"), weight)
    return found


def _cuts(store: Store, dataset: ArtifactRef, rankings: Metrics, config: Config) -> tuple[int, ...]:
    """The depths to tell; the last alone where a ranking of documents has no passages' scores."""
    cuts = config.evaluation.cuts
    known = all(PASSAGES in store.manifest(ref).files for ref in rankings.values())
    return cuts if known or not judges_documents(store, dataset) else cuts[-1:]
