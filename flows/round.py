"""One round: scores(r-1) ─► negatives ─► reranker(r) ─► ranking ─► metrics ─► decision."""

from pathlib import Path

from prefect import flow

from strop.artifacts.manifest import ArtifactRef
from strop.flows.prepare import prepare
from strop.flows.session import PREPARE, Refs, Session, hold, round_part
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.tasks.decide import accept, verdict
from strop.tasks.measure import diagnose, evaluate
from strop.tasks.mine import list_negatives, list_suspects, select_candidates
from strop.tasks.rerank import rerank
from strop.tasks.score import score
from strop.tasks.stage import call
from strop.tasks.train import train


@flow(name="round", flow_run_name="{config.name} round {number}", validate_parameters=False)
def one_round(config: Config, number: int, store: Path) -> bool:
    """Mine with the last round's reranker, train, measure on dev; returns whether accepted."""
    with hold(config, store) as session:
        _mine(session, number)
        _train(session, number)
        return _judge(session, number)


@flow(name="manual round", flow_run_name="{config.name} round {number} by hand")
def manual_round(config: Config, number: int, store: Path = Path(".strop")) -> bool:
    """One round by hand: all earlier rounds of the run must exist; returns whether accepted."""
    if number > config.rounds:
        raise InputError(
            f"--round {number}: the config has rounds = {config.rounds}; the learning rate's "
            "course and the curriculum end there"
        )
    with hold(config, store) as session:
        for earlier in range(1, number):
            session.part(round_part(earlier))
        prepare(config, store)
        return bool(one_round(config, number, store))


def last_accepted(session: Session, number: int) -> int:
    """The latest accepted round before this one; 0 is the untuned reranker."""
    parts = session.run.parts()
    for earlier in range(number - 1, 0, -1):
        decision = parts.get(round_part(earlier), {}).get("decision")
        if decision and verdict(session.store, decision)[0] == "accepted":
            return earlier
    return 0


def _previous(session: Session, number: int) -> Refs:
    accepted = last_accepted(session, number)
    return session.part(round_part(accepted) if accepted else PREPARE)


def _mine(session: Session, number: int) -> None:
    config, part = session.config, round_part(number)
    place, shared, previous = session.place(part), session.part(PREPARE), _previous(session, number)
    dataset, candidates = shared["dataset"], shared["candidates"]
    reranker, scores = previous["reranker"], None
    if not _is_fresh(session, reranker):
        tokens = shared["tokens"]
        scores = call(score, place, dataset, candidates, tokens, reranker, config, number)
        session.record(part, scores=scores)
    ranking = previous["ranking_dev"] if scores else None
    selection = call(select_candidates, place, dataset, candidates, scores, ranking, config, number)
    negatives = call(list_negatives, place, dataset, selection)
    suspects = call(list_suspects, place, selection)
    session.record(part, selection=selection, negatives=negatives, suspects=suspects)


def _is_fresh(session: Session, reranker: ArtifactRef) -> bool:
    """Whether a reranker's head has never been trained, so that its scores are noise."""
    return bool(session.store.manifest(reranker).summary.get("fresh_head"))


def _train(session: Session, number: int) -> None:
    config, part = session.config, round_part(number)
    shared, made = session.part(PREPARE), session.part(part)
    start = shared if config.training.start == "base" else _previous(session, number)
    reranker = call(
        train,
        session.place(part),
        start["reranker"],
        made["negatives"],
        shared["tokens"],
        config,
        number,
    )
    session.record(part, reranker=reranker)


def _judge(session: Session, number: int) -> bool:
    config, part = session.config, round_part(number)
    place, shared, made = session.place(part), session.part(PREPARE), session.part(part)
    dataset = shared["dataset"]
    ranking = call(
        rerank,
        place,
        dataset,
        shared["candidates"],
        shared["tokens"],
        made["reranker"],
        config,
        "dev",
    )
    metrics = call(evaluate, place, dataset, ranking, config, "dev")
    diagnosis = call(diagnose, place, dataset, ranking, "dev")
    accepted = last_accepted(session, number)
    names = (f"round {number}", f"round {accepted}" if accepted else "the untuned base")
    previous = _previous(session, number)["metrics_dev"]
    decision = call(accept, place, metrics, previous, config, names=names)
    session.record(
        part, ranking_dev=ranking, metrics_dev=metrics, diagnosis=diagnosis, decision=decision
    )
    return verdict(session.store, decision)[0] == "accepted"
