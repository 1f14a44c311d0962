"""Promote: the last accepted round against the champion on gate, once a run."""

from typing import Any

from prefect import flow

from strop.artifacts import refs
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.flows.accepted import last_accepted
from strop.flows.guard_sets import hold_guard_sets
from strop.flows.inner_config import InnerConfig
from strop.flows.location import Location
from strop.flows.measured import measured
from strop.flows.nights import or_night
from strop.flows.recorded import config_of_run
from strop.flows.session import PREPARE, PROMOTE, Session, hold, is_same_move, round_part
from strop.pipeline.config import Name
from strop.pipeline.errors import InputError
from strop.tasks.decide import ask_for_approval, promote, verdict
from strop.tasks.gate_size import too_small_a_gate
from strop.tasks.mine import fusion_weight
from strop.tasks.stage import call
from strop.tasks.tokenize import tokenize

WON = ("promoted", "awaiting")


@flow(name="promote", flow_run_name="promote {config.name}", validate_parameters=False)
def promote_last(config: InnerConfig, store: Location) -> str:
    """Hold the run's challenger against the champion; returns the decision's reason.

    The challenger is the last accepted round: each accepted round was not worse than the one
    before it, and the best of several on a dev split of usual size is mostly the luckiest.
    """
    with hold(config, store) as session:
        champion = session.opponent() or _first_champion(session)
        challenger = last_accepted(session, config.rounds + 1)
        if reason := why_no_contest(session):
            return f"{config.name}: {reason}; {champion['name']} stays champion"
        return _decide(session, champion, challenger)


def why_no_contest(session: Session) -> str:
    """Why no round can be held against the champion; nothing where one can."""
    if not last_accepted(session, session.config.rounds + 1):
        return "no round was accepted"
    return too_small_a_gate(session.store, session.part(PREPARE)["dataset"], session.config)


def _first_champion(session: Session) -> dict[str, Any]:
    """Before any promotion: the untuned base where it beats the first stage on dev, else that."""
    shared = session.part(PREPARE)
    decision = shared.get("first_champion")  # none is made on a fresh head
    if decision is None or verdict(session.store, decision)[0] != "promoted":
        value = {"ranking": "first_stage", "name": "the first stage", "reranker": None, "weight": 0}
    else:
        weight = fusion_weight(session.place(PROMOTE), shared["ranking_dev"])
        value = _crowned("the untuned base", shared["reranker"], weight)
    value |= {"run": session.run.name, "round": 0, "decision": decision.id if decision else None}
    session.crown(value)
    return value


def _crowned(name: str, reranker: ArtifactRef, weight: float) -> dict[str, Any]:
    return {"ranking": "fused", "name": name, "reranker": vars(reranker), "weight": weight}


def _decide(session: Session, champion: dict[str, Any], challenger: int) -> str:
    made = session.part(round_part(challenger))
    weight = fusion_weight(session.place(PROMOTE), made["ranking_dev"])
    tokens = session.part(PREPARE)["tokens"]
    metrics = _gate_metrics(session, made["reranker"], tokens, weight)
    opponent = metrics
    if champion["reranker"]:
        reranker = ArtifactRef(**champion["reranker"])
        opponent = _champion_metrics(session, reranker, float(champion["weight"]))
    name = f"round {challenger}"
    decision = call(
        promote,
        session.place(PROMOTE),
        metrics,
        opponent,
        session.config,
        names=(name, champion["name"]),
        champion_ranking=champion["ranking"],
        split="gate",
    )
    session.record(PROMOTE, metrics_gate=metrics)
    if verdict(session.store, decision)[0] in WON and session.config.decision.guard_sets:
        candidate = _crowned(name, made["reranker"], weight)
        decision = hold_guard_sets(session, decision, candidate, champion)
    session.record(PROMOTE, decision=decision)
    outcome, reason = verdict(session.store, decision)
    if outcome == "promoted":
        session.crown(_new_champion(session, challenger, decision))
    if outcome == "awaiting":
        ask_for_approval(session.place(PROMOTE), decision)
    return reason


def _new_champion(session: Session, challenger: int, decision: ArtifactRef) -> dict[str, Any]:
    made = session.part(round_part(challenger))
    weight = fusion_weight(session.place(PROMOTE), made["ranking_dev"])
    value = _crowned(f"round {challenger} of {session.run.name}", made["reranker"], weight)
    return value | {"run": session.run.name, "round": challenger, "decision": decision.id}


def _champion_metrics(session: Session, reranker: ArtifactRef, weight: float) -> ArtifactRef:
    """The champion may come from another run, with a tokenizer of its own."""
    dataset = session.part(PREPARE)["dataset"]
    place, config = session.place(PROMOTE), session.config
    tokens = call(tokenize, place, dataset, reranker, config.reranker)
    return _gate_metrics(session, reranker, tokens, weight)


def _gate_metrics(
    session: Session, reranker: ArtifactRef, tokens: ArtifactRef, weight: float
) -> ArtifactRef:
    place = session.place(PROMOTE)
    return measured(session, place, reranker, "gate", tokens=tokens, weight=weight)[1]


@flow(name="promote by hand", flow_run_name="promote {run} by hand")
def approve(run: Name, store: Location = ".strop", note: str = "", nights: bool = False) -> str:
    """Promote the challenger of a run whose decision awaits a person's word.

    Raises `InputError` where nothing awaits, or what was promoted before has been replaced, and
    `Conflict` where another run has moved the champion since.

    Args:
        run: Name of the run whose challenger awaits the word.
        store: A folder, or s3://bucket/prefix (gs://, az://), that keeps the artifacts.
        note: Why, kept in the champion's history.
        nights: Whether the newest night stands in for a run of that name that nobody has started.
    """
    if nights:
        run = or_night(Store(store), run, with_part=PROMOTE)
    config = config_of_run(Store(store), run)
    with hold(config, store) as session:
        decision = session.run.parts().get(PROMOTE, {}).get("decision")
        outcome, reason = verdict(session.store, decision) if decision else ("none", "")
        if decision is None or outcome != "awaiting":
            raise InputError(
                f"run {run}: its decision is {outcome!r}, expected 'awaiting'; nothing to approve"
            )
        challenger = last_accepted(session, config.rounds + 1)
        approved = {"approved": note} if note else {}
        value = _new_champion(session, challenger, decision) | approved
        moved = session.crown(value)
        became = "promoted by hand" if moved else second_word(session, value)
        outcome = f"{reason.partition(': awaits')[0]}: {became}"
        if moved and session.run.outcome is not None:
            session.run.finish(session.lease, outcome)
        return outcome


def second_word(session: Session, value: dict[str, Any]) -> str:
    """What became of a champion that a decision has made before.

    Raises `InputError` with the way back where its reranker is champion no more.
    """
    moves = refs.history(session.store, session.config.champion)
    by_it = [is_same_move(move.value or {}, value) for move in moves]
    first = moves[by_it.index(True)].generation
    if by_it[-1]:
        return f"champion already, since move {first}"
    now = (moves[-1].value or {}).get("name")
    raise InputError(
        f"run {session.run.name}: was promoted by move {first}, and {now} is champion since move "
        f"{moves[-1].generation}; `strop champion rollback {session.config.champion} --to {first}` "
        "makes it champion again"
    )
