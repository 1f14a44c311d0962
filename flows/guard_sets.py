"""Guard sets: queries, each with a corpus of its own, that a promotion must not break."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.names import looks_like_id
from strop.flows.first_stage import FirstStage, production_candidates
from strop.flows.outside import measure_reranker
from strop.flows.session import PREPARE, PROMOTE, Refs, Session
from strop.pipeline.config import Config, GuardSet
from strop.tasks.guard import GuardMetrics, hold_all, naming_guard_set, require_judged
from strop.tasks.import_data import find_dataset, import_beir_split
from strop.tasks.stage import Place, call


def import_guard_sets(place: Place, config: Config) -> list[ArtifactRef]:
    """The data set of every guard set; raises `InputError` for one that cannot be measured."""
    return [_import(_place_of(place, guard), guard) for guard in config.decision.guard_sets]


def guard_candidates(place: Place, config: Config, datasets: Sequence[ArtifactRef]) -> Refs:
    """Every guard set's data set and candidates, by the first stage that production has."""
    found = {}
    for guard, dataset in zip(config.decision.guard_sets, datasets, strict=True):
        first_stage = FirstStage(config, _place_of(place, guard), dataset)
        found[f"guard dataset {guard.name}"] = dataset
        found[f"guard candidates {guard.name}"] = production_candidates(first_stage)
    return found


def hold_guard_sets(
    session: Session,
    gate: ArtifactRef,
    challenger: Mapping[str, Any],
    champion: Mapping[str, Any],
) -> ArtifactRef:
    """The decision over a challenger that won the gate, by how it does on every guard set.

    Challenger and champion are values as the champion's ref has them.
    """
    measured = [
        _measure(session, guard, challenger, champion)
        for guard in session.config.decision.guard_sets
    ]
    session.record(PROMOTE, **{f"metrics guard {made.name}": made.challenger for made in measured})
    decision: ArtifactRef = call(
        hold_all,
        session.place(PROMOTE),
        gate,
        measured,
        session.config,
        names=(challenger["name"], champion["name"]),
        champion_ranking=champion["ranking"],
    )
    return decision


def _import(place: Place, guard: GuardSet) -> ArtifactRef:
    folder = Path(guard.dataset).expanduser()
    with naming_guard_set(guard.name):
        if looks_like_id(guard.dataset):
            dataset = call(find_dataset, place, guard.dataset)
        else:
            dataset = call(import_beir_split, place, folder, guard.split)
        require_judged(place, dataset, guard.split)
    found: ArtifactRef = dataset
    return found


def _measure(
    session: Session, guard: GuardSet, challenger: Mapping[str, Any], champion: Mapping[str, Any]
) -> GuardMetrics:
    """A challenger's metrics, and the champion's, which are in the same where that has no model."""
    metrics = _metrics(session, guard, challenger, session.part(PREPARE)["reranker"])
    opponent = _metrics(session, guard, champion, None) if champion["reranker"] else metrics
    return GuardMetrics(guard.name, metrics, opponent)


def _metrics(
    session: Session, guard: GuardSet, side: Mapping[str, Any], tokenizer: ArtifactRef | None
) -> ArtifactRef:
    prepared = session.part(PREPARE)
    shared = {role: prepared[f"guard {role} {guard.name}"] for role in ("dataset", "candidates")}
    return measure_reranker(
        _place_of(session.place(PROMOTE), guard),
        session.config,
        shared,
        ArtifactRef(**side["reranker"]),
        split=guard.split,
        weight=float(side["weight"]),
        tokenizer=tokenizer,
    )


def _place_of(place: Place, guard: GuardSet) -> Place:
    return replace(place, part=f"{place.part} · guard set {guard.name}")
