"""Measuring a reranker on one split: ranking ─► metrics."""

from typing import Any

from strop.artifacts.manifest import ArtifactRef
from strop.flows.session import PREPARE, Session
from strop.tasks.measure import RANKINGS, UNSCORED, evaluate
from strop.tasks.rank_unscored import rank_unscored
from strop.tasks.rerank import rerank
from strop.tasks.stage import Place, call


def measured(
    session: Session,
    place: Place,
    reranker: ArtifactRef,
    split: str,
    *,
    tokens: ArtifactRef | None = None,
    weight: float | None = None,
) -> tuple[ArtifactRef, ArtifactRef]:
    """The ranking and the metrics of a reranker on a split of the run's data.

    The fusion weight is the one given, or chosen on this split. A fresh head's scores are noise,
    which nobody needs to wait for: its ranking is the first stage's. ``tokens`` are those of a
    reranker with a tokenizer of its own.
    """
    config, shared = session.config, session.part(PREPARE)
    dataset, candidates = shared["dataset"], shared["candidates"]
    unscored = is_fresh(session, reranker)
    ranking: Any
    if unscored:
        ranking = call(rank_unscored, place, dataset, candidates, config, split)
    else:
        tokens = tokens or shared["tokens"]
        ranking = call(rerank, place, dataset, candidates, tokens, reranker, config, split, weight)
    kinds = UNSCORED if unscored else RANKINGS
    return ranking, call(evaluate, place, dataset, ranking, config, split, kinds)


def is_fresh(session: Session, reranker: ArtifactRef) -> bool:
    """Whether a reranker's head has never been trained, so that its scores are noise."""
    return bool(session.store.manifest(reranker).summary.get("fresh_head"))
