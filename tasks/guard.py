"""The decision over a challenger that won the gate: whether it holds on every guard set."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from strop.artifacts.errors import StoreError
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.pipeline.progress import Progress
from strop.tasks.stage import Place, carry_out, stage_task


@dataclass(frozen=True)
class GuardMetrics:
    """The metrics of both sides on one guard set."""

    name: str
    challenger: ArtifactRef
    champion: ArtifactRef


@stage_task("hold guard sets")
def hold_all(
    place: Place,
    gate: ArtifactRef,
    measured: list[GuardMetrics],
    config: Config,
    *,
    names: tuple[str, str],
    champion_ranking: str,
) -> Any:
    """The gate's decision where every guard set holds, or one that keeps the champion.

    The table has the promotion first, then a row a guard set; ``measured`` are in the config's
    order.
    """
    rule, metric = config.decision, config.evaluation.metrics[0]
    guards = [guard.model_dump(include={"name", "split", "tolerance"}) for guard in rule.guard_sets]
    parameters = {
        "names": list(names),
        "champion_ranking": champion_ranking,
        "guard_sets": guards,
        "alpha": rule.alpha,
        "metric": metric,
        "samples": config.evaluation.bootstrap_samples,
        "seed": config.seed,
    }
    inputs = {"gate": gate}
    for made in measured:
        inputs |= {f"challenger on {made.name}": made.challenger}
        inputs |= {f"champion on {made.name}": made.champion}
    recipe = Recipe("decision", "hold guard sets", 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.evaluation import guard_sets
        from strop.pipeline.evaluation.decision import Decision, decision_table
        from strop.pipeline.evaluation.metrics import metric_label, parse_metric

        store = place.open()
        label = metric_label(parse_metric(metric))
        rows = [
            guard_sets.guard(
                *_contenders(store, made, names, champion_ranking),
                guard_sets.GuardRule(**guard, metric=label, alpha=rule.alpha),
                seed=config.seed,
                samples=config.evaluation.bootstrap_samples,
            )
            for made, guard in zip(measured, guards, strict=True)
        ]
        won = Decision(**store.table(gate, "decision").to_pylist()[0])
        decided = guard_sets.guarded(won, rows)
        attempt.write_table("decision", decision_table([decided, *rows]))
        return {"verdict": decided.verdict, "reason": decided.reason}

    return carry_out(place, recipe, compute)


def _contenders(
    store: Store, made: GuardMetrics, names: tuple[str, str], champion_ranking: str
) -> tuple[Any, Any]:
    from strop.pipeline.evaluation.decision import Contender

    return (
        Contender(names[0], "fused", store.table(made.challenger, "per_query")),
        Contender(names[1], champion_ranking, store.table(made.champion, "per_query")),
    )


@contextlib.contextmanager
def naming_guard_set(name: str) -> Iterator[None]:
    """Whatever is wrong within is told of the config's guard set of this name."""
    try:
        yield
    except (InputError, StoreError) as error:
        raise InputError(f"decision.guard_sets, {name!r}: {error}") from error


def require_judged(place: Place, dataset: ArtifactRef, split: str) -> None:
    """Raise `InputError` for a split without queries, or without a judged one."""
    from strop.pipeline.evaluation.metrics import judge

    store = place.open()
    judge(store.table(dataset, "qrels"), store.table(dataset, "queries"), split=split)
