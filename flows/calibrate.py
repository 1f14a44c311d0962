"""Calibrate: probabilities for the reranker that the run ends with, where the config asks."""

from strop.artifacts.manifest import ArtifactRef
from strop.flows.accepted import last_accepted, made_by
from strop.flows.session import ASSESS, PREPARE, Refs, Session
from strop.tasks.calibrate import calibrate, measure_calibration
from strop.tasks.decide import verdict
from strop.tasks.stage import call


def calibrate_last(session: Session) -> Refs:
    """The calibration of the last accepted round; empty where none is asked for, or no such round.

    Without an accepted round it is that of the untuned base, where that was first champion.
    """
    config, shared = session.config, session.part(PREPARE)
    number = last_accepted(session, config.rounds + 1)
    first = shared.get("first_champion")
    crowned = first is not None and verdict(session.store, first)[0] == "promoted"
    if config.evaluation.calibration == "none" or not (number or crowned):
        return {}
    made, place = made_by(session, number), session.place(ASSESS)
    reranker = made["reranker"]
    found = call(calibrate, place, shared["dataset"], made["ranking_dev"], reranker, config)
    session.record(ASSESS, calibration=found)
    return {"calibration": found}


def measure_on_test(session: Session, calibrated: Refs, metrics: dict[int, ArtifactRef]) -> Refs:
    """What the calibration is worth on test, whose rankings ``metrics`` measured by round."""
    if not calibrated:
        return {}
    place, dataset = session.place(ASSESS), session.part(PREPARE)["dataset"]
    number = last_accepted(session, session.config.rounds + 1)
    ranking = session.store.manifest(metrics[number]).inputs["ranking"]
    calibration = calibrated["calibration"]
    found = call(measure_calibration, place, dataset, ranking, calibration, "test")
    session.record(ASSESS, calibration_test=found)
    return {"calibration_test": found}
