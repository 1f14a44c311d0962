"""One round: scores(r-1) ─► selection ─► negatives ─► reranker(r) ─► metrics ─► decision."""

from typing import Annotated, Any

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import Field

from strop.artifacts.store import Store
from strop.flows.accepted import last_accepted, previous
from strop.flows.at_hand import check_round
from strop.flows.branch import branched
from strop.flows.feedback import group_size
from strop.flows.inner_config import InnerConfig
from strop.flows.location import Location
from strop.flows.measured import is_fresh, measured
from strop.flows.miners import mining_inputs
from strop.flows.prepare import prepare
from strop.flows.reported import report_round
from strop.flows.session import PREPARE, Session, hold, round_part
from strop.flows.training import train_round
from strop.pipeline.config import Config, Name
from strop.pipeline.errors import InputError
from strop.tasks.decide import accept, verdict
from strop.tasks.describe_round import describe
from strop.tasks.measure import diagnose
from strop.tasks.mine import list_negatives, list_suspects, select_candidates
from strop.tasks.stage import call


@flow(name="round", flow_run_name="{config.name} round {number}", validate_parameters=False)
def one_round(config: InnerConfig, number: int, store: Location) -> bool:
    """Mine with the last round's reranker, train, measure on dev; returns whether accepted."""
    with hold(config, store) as session:
        _mine(session, number)
        _train(session, number)
        accepted = _judge(session, number)
        report_round(session, number)
        return accepted


@flow(name="manual round", flow_run_name="{config.name} round {number} by hand")
def manual_round(
    config: Config,
    number: Annotated[int, Field(ge=1)],
    store: Location = ".strop",
    branch: Name | None = None,
    changes: dict[str, Any] | None = None,
) -> bool:
    """One round by hand: all earlier rounds of the run must exist; returns whether accepted.

    On a branch the round is repeated beside the run, which stays as it is.

    Args:
        config: Every value of the run; a key that is left out has its default.
        number: Which round, from 1; all rounds before it must exist.
        store: A folder, or s3://bucket/prefix (gs://, az://), that keeps the artifacts.
        branch: Name of the branch; none repeats nothing, and works on the run itself.
        changes: Values by key path that the branch has instead, {"training.temperature": 0.5}.
    """
    check_round(config, number)
    if changes and not branch:
        raise InputError("changes of a round need a branch, which keeps the run as it is")
    if branch:
        config = branched(Store(store), config, branch, number, changes or {})
    with hold(config, store) as session:
        for earlier in range(1, number):
            session.part(round_part(earlier))
        prepare(config, store)
        return bool(one_round(config, number, store))


def _mine(session: Session, number: int) -> None:
    part, shared = round_part(number), session.part(PREPARE)
    place, inputs = session.place(part), mining_inputs(session, number)
    session.record(part, **inputs.made())
    size = group_size(session, number)
    selection = call(select_candidates, place, inputs, session.config, number, size)
    negatives = call(list_negatives, place, shared["dataset"], selection)
    suspects = call(list_suspects, place, selection)
    session.record(part, selection=selection, negatives=negatives, suspects=suspects)


def _train(session: Session, number: int) -> None:
    part = round_part(number)
    reranker = train_round(session, number)
    made, last = session.part(part), previous(session, number).get("negatives")
    curriculum = call(
        describe,
        session.place(part),
        made["selection"],
        made["negatives"],
        last,
        reranker,
        number,
    )
    session.record(part, reranker=reranker, curriculum=curriculum)


def _judge(session: Session, number: int) -> bool:
    config, part = session.config, round_part(number)
    place, shared, made = session.place(part), session.part(PREPARE), session.part(part)
    ranking, metrics = measured(session, place, made["reranker"], "dev")
    accepted = last_accepted(session, number)
    # A fresh head's scores say nothing that a drift could be measured from.
    before = previous(session, number)["ranking_dev"] if accepted else None
    trained = (made["reranker"], config.training)
    diagnosis = call(diagnose, place, shared["dataset"], ranking, *trained, "dev", before)
    untuned = "the first stage" if is_fresh(session, shared["reranker"]) else "the untuned base"
    names = (f"round {number}", f"round {accepted}" if accepted else untuned)
    opponent = previous(session, number)["metrics_dev"]
    decision = call(accept, place, metrics, opponent, config, names=names)
    session.record(
        part, ranking_dev=ranking, metrics_dev=metrics, diagnosis=diagnosis, decision=decision
    )
    outcome, reason = verdict(session.store, decision)
    get_run_logger().info(reason)
    return outcome == "accepted"
