"""Drift: what the data of a run make of those that its champion was trained on."""

from dataclasses import replace
from typing import Any

from prefect.logging import get_run_logger

from strop.artifacts.errors import StoreError
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run
from strop.flows.outside import measure_reranker
from strop.flows.session import PREPARE, Refs, Session, round_part
from strop.tasks.drift import drift_sentence, measure_drift
from strop.tasks.stage import call


def note_drift(session: Session) -> None:
    """Record how the data have changed for the champion, where it comes from a run on others."""
    champion = session.opponent()
    if champion is None or champion["run"] == session.run.name:
        return
    shared, old = session.part(PREPARE), Run(session.store, champion["run"]).parts()
    before = old.get(PREPARE, {}).get("dataset")
    if before is None or before.digest == shared["dataset"].digest or not _kept(session, before):
        return
    place = replace(session.place(PREPARE), part=f"{session.place(PREPARE).part} · champion")
    drift = call(
        measure_drift,
        place,
        shared["dataset"],
        before,
        _negatives(session, old, champion),
        _metrics(session, shared, champion),
        champion["ranking"],
        session.config,
    )
    session.record(PREPARE, drift=drift)
    get_run_logger().info(drift_notes(session)[0])


def drift_notes(session: Session) -> list[str]:
    """What the report says of it; nothing where there is no drift to tell."""
    drift, champion = session.part(PREPARE).get("drift"), session.opponent()
    if drift is None or champion is None:
        return []
    name, run = champion["name"], champion["run"]
    return [drift_sentence(session.store, drift, name if run in name else f"{name} of {run}")]


def _negatives(session: Session, old: dict[str, Refs], champion: dict[str, Any]) -> Any:
    """What the champion was trained on, where it was trained and that is still there."""
    negatives = old.get(round_part(champion["round"]), {}).get("negatives")
    return negatives if negatives and _kept(session, negatives) else None


def _metrics(session: Session, shared: Refs, champion: dict[str, Any]) -> ArtifactRef:
    """The champion's on dev; those of the untuned base hold the first stage's too."""
    if not champion["reranker"]:
        return shared["metrics_dev"]
    return measure_reranker(
        replace(session.place(PREPARE), part=f"{session.place(PREPARE).part} · champion"),
        session.config,
        shared,
        ArtifactRef(**champion["reranker"]),
        split="dev",
        weight=float(champion["weight"]),
    )


def _kept(session: Session, ref: ArtifactRef) -> bool:
    try:
        session.store.use(ref)
    except StoreError:  # collected since: nobody can tell
        return False
    return True
