"""Prepare, once a data set: dataset ─► embeddings ─► index ─► candidates; reranker(0)."""

from pathlib import Path
from typing import Any

from prefect import flow

from strop.flows.session import PREPARE, Session, hold
from strop.pipeline.config import Config
from strop.pipeline.data.splits import SplitRule
from strop.tasks.build_index import build_index
from strop.tasks.decide import promote
from strop.tasks.encode import encode
from strop.tasks.import_data import find_dataset, import_beir_folder, looks_like_id
from strop.tasks.import_model import import_model
from strop.tasks.initialise import initialise
from strop.tasks.measure import evaluate
from strop.tasks.rerank import rerank
from strop.tasks.retrieve import retrieve
from strop.tasks.stage import Place, call
from strop.tasks.tokenize import tokenize


@flow(name="prepare", flow_run_name="prepare {config.name}", validate_parameters=False)
def prepare(config: Config, store: Path) -> None:
    """Make what all rounds share, and measure the first stage and the untuned reranker on dev."""
    with hold(config, store) as session:
        place = session.place(PREPARE)
        dataset = import_dataset(place, config)
        session.claim(dataset)
        session.opponent()  # frozen now: what the run is held against at its end
        encoder = call(import_model, place, config.bi_encoder.model)
        base = call(import_model, place, config.reranker.base)
        embeddings = call(encode, place, dataset, encoder, config.bi_encoder)
        index = call(build_index, place, embeddings)
        candidates = call(retrieve, place, dataset, embeddings, index, config.first_stage.depth)
        reranker = call(initialise, place, base, config.reranker, config.seed)
        tokens = call(tokenize, place, dataset, reranker, config.reranker)
        session.record(
            PREPARE, dataset=dataset, candidates=candidates, reranker=reranker, tokens=tokens
        )
        _measure_untuned(session)


def import_dataset(place: Place, config: Config) -> Any:
    """The config's dataset: an artifact by its id, or a BEIR folder."""
    if looks_like_id(config.dataset):
        return call(find_dataset, place, config.dataset)
    rule = SplitRule(config.dev_share, config.gate_share, config.seed)
    return call(import_beir_folder, place, Path(config.dataset).expanduser(), rule)


def _measure_untuned(session: Session) -> None:
    config, place, made = session.config, session.place(PREPARE), session.part(PREPARE)
    ranking = call(
        rerank,
        place,
        made["dataset"],
        made["candidates"],
        made["tokens"],
        made["reranker"],
        config,
        "dev",
    )
    metrics = call(evaluate, place, made["dataset"], ranking, config, "dev")
    first_champion = call(
        promote,
        place,
        metrics,
        metrics,
        config,
        names=("the untuned base", "the first stage"),
        champion_ranking="first_stage",
        split="dev",
    )
    session.record(PREPARE, ranking_dev=ranking, metrics_dev=metrics, first_champion=first_champion)
