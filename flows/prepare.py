"""Prepare, once a data set: dataset ─► index ─► candidates and more pools; reranker(0)."""

from dataclasses import replace
from functools import partial
from typing import Any

from prefect import flow
from prefect.logging import get_run_logger

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.names import looks_like_id
from strop.artifacts.store import Store
from strop.flows.drift import note_drift
from strop.flows.first_stage import (
    check_sources,
    more_pools,
    open_first_stage,
    production_candidates,
)
from strop.flows.guard_sets import guard_candidates, import_guard_sets
from strop.flows.inner_config import InnerConfig
from strop.flows.location import Location
from strop.flows.measured import is_fresh, measured
from strop.flows.outside import find_off_the_shelf
from strop.flows.session import PREPARE, Refs, Session, hold
from strop.flows.watched import announce
from strop.pipeline.config import GIVEN, Config, Reranker
from strop.pipeline.errors import InputError
from strop.tasks.calibrate import check_calibration
from strop.tasks.decide import promote
from strop.tasks.gate_size import gate_warning
from strop.tasks.given import read_given_scores
from strop.tasks.import_data import (
    configured_request,
    find_dataset,
    import_request,
)
from strop.tasks.import_model import import_model
from strop.tasks.initialise import initialise, require_head
from strop.tasks.missed import missed_sentence
from strop.tasks.query_fields import check_slices
from strop.tasks.review import find_verdicts
from strop.tasks.stage import Place, call
from strop.tasks.tokenize import tokenize
from strop.tasks.trainable import check_training


@flow(name="prepare", flow_run_name="prepare {config.name}", validate_parameters=False)
def prepare(config: InnerConfig, store: Location) -> None:
    """Make what all rounds share, and measure the first stage and the untuned reranker on dev."""
    check_sources(config)
    check_training(config, Store(store))
    with hold(config, store) as session:
        place = session.place(PREPARE)
        dataset = import_dataset(place, config)
        check_slices(session.store, dataset, config)
        check_calibration(place, config, dataset)
        given = _given_scores(place, config, dataset)
        verdicts = _verdicts(place, config, dataset)
        guard_sets = import_guard_sets(place, config)
        # What is wrong with these is told before the run has a record that could not be mended.
        if name := config.evaluation.off_the_shelf:
            find_off_the_shelf(replace(place, part=f"{PREPARE} · off the shelf"), config, name)
        claim = partial(session.claim, dataset, verdicts.get("verdicts"), guard_sets)
        if session.run.config_or_none():
            claim()  # another config is told before its base is read
        base = call(import_model, place, config.reranker.base, "reranker.base")
        reranker = call(initialise, place, base, config.reranker, config.seed)
        refuse_averaging_a_fresh_head(config, is_fresh(session, reranker))
        first_stage = open_first_stage(config, place, dataset)
        teacher = _teacher(session)
        claim()
        with session.mendable():
            _warn_of_gate(session.store, dataset, config)
            session.opponent()  # frozen now: what the run is held against at its end
            candidates = production_candidates(first_stage)
            check_calibration(place, config, dataset, candidates)
            pools = more_pools(first_stage)
            tokens = call(tokenize, place, dataset, reranker, config.reranker)
            session.record(
                PREPARE,
                dataset=dataset,
                candidates=candidates,
                reranker=reranker,
                tokens=tokens,
                **pools,
                **given,
                **verdicts,
                **guard_candidates(place, config, guard_sets),
                **_read_by(session, dataset, teacher),
            )
        if missed := missed_sentence(session.store, dataset, candidates):
            get_run_logger().warning(missed)
        _measure_untuned(session)
        note_drift(session)


def _warn_of_gate(store: Store, dataset: ArtifactRef, config: Config) -> None:
    """Tell in the log, and on the terminal, what would only show at the run's end."""
    if warning := gate_warning(store, dataset, config):
        get_run_logger().warning(warning)
        announce(f"warning: {warning}")


def import_dataset(place: Place, config: Config) -> Any:
    """The config's dataset: an artifact by its id, or files as its `data` says."""
    if not looks_like_id(config.dataset):
        return call(import_request, place, configured_request(config))
    if said := config.data.said():
        raise InputError(
            f"data.{next(iter(said))}: dataset {config.dataset} is imported already, expected its "
            "files as dataset, or nothing under data"
        )
    return call(find_dataset, place, config.dataset)


def _given_scores(place: Place, config: Config, dataset: ArtifactRef) -> Refs:
    """The teacher's scores that came with the data, where the config teaches with these."""
    if config.mining.teacher != GIVEN:
        return {}
    return {"given_scores": call(read_given_scores, place, dataset)}


def in_store(dataset: ArtifactRef) -> dict[str, Any]:
    """The values of a config, by key path, that name an imported data set."""
    return {"dataset": dataset.id, "data": {}}


def _verdicts(place: Place, config: Config, dataset: ArtifactRef) -> Refs:
    """The verdicts that a run starts with, where its config names some."""
    if config.mining.verdicts is None:
        return {}
    return {"verdicts": call(find_verdicts, place, config.mining.verdicts, dataset)}


def refuse_averaging_a_fresh_head(config: Config, fresh: bool) -> None:
    """Raise `InputError` where rounds would start from a mean with a head of random weights."""
    if fresh and config.training.start == "average":
        raise InputError(
            f"training.start = 'average': reranker.base = {config.reranker.base!r} gets a fresh "
            "head, with which there is nothing to average; expected last_round or base"
        )


def _teacher(session: Session) -> ArtifactRef | None:
    """The reranker that teaches, if one does; raises `InputError` for a model without a head."""
    config, name = session.config, session.config.mining.teacher
    if name is None or name == GIVEN:
        return None
    place, settings = _of_teacher(session)
    model = call(import_model, place, name, "mining.teacher")
    teacher: ArtifactRef = call(initialise, place, model, settings, config.seed)
    require_head(is_fresh(session, teacher), f"mining.teacher = {name!r}")
    return teacher


def _read_by(session: Session, dataset: ArtifactRef, teacher: ArtifactRef | None) -> Refs:
    """A teacher, and the tokens that it reads."""
    if teacher is None:
        return {}
    place, settings = _of_teacher(session)
    tokens = call(tokenize, place, dataset, teacher, settings)
    return {"teacher": teacher, "teacher_tokens": tokens}


def _of_teacher(session: Session) -> tuple[Place, Reranker]:
    """Where a teacher's stages run, and with which limits."""
    place = replace(session.place(PREPARE), part=f"{PREPARE} · teacher")
    base = {"base": session.config.mining.teacher}
    return place, session.config.reranker.model_copy(update=base)


def _measure_untuned(session: Session) -> None:
    place, reranker = session.place(PREPARE), session.part(PREPARE)["reranker"]
    ranking, metrics = measured(session, place, reranker, "dev")
    # Of a fresh head there is nothing to decide: the first stage is first champion.
    fresh = is_fresh(session, reranker)
    first = {} if fresh else {"first_champion": _better_of_untuned(session, metrics)}
    session.record(PREPARE, ranking_dev=ranking, metrics_dev=metrics, **first)


def _better_of_untuned(session: Session, metrics: ArtifactRef) -> ArtifactRef:
    """The decision between the untuned base and the first stage."""
    decision: ArtifactRef = call(
        promote,
        session.place(PREPARE),
        metrics,
        metrics,
        session.config,
        names=("the untuned base", "the first stage"),
        champion_ranking="first_stage",
        split="dev",
    )
    return decision
