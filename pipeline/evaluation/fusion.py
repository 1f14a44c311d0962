"""Fusion of a reranker with the first stage by z-scores, its weight chosen on dev."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import optimize

from strop.artifacts.schemas import RANKING
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.metrics import Judgements, is_positive, per_query_metrics
from strop.pipeline.evaluation.ranking import (
    BoolArray,
    FloatArray,
    IntArray,
    encode,
    offsets_of,
    rank_within,
)

GRID = tuple(round(0.1 * step, 1) for step in range(11))
PULL = 1e-3
"""Penalty on the squared coefficients of the fit."""


@dataclass(frozen=True)
class WeightChoice:
    """The chosen fusion weight and the mean of ``metric`` on ``split`` at each weight tried."""

    weight: float
    metric: str
    split: str
    curve: tuple[tuple[float, float], ...]


def z_scores(query_index: NDArray[np.integer], scores: NDArray[np.floating]) -> FloatArray:
    """Scores minus their query's mean, in their query's population standard deviations.

    A query whose scores are all equal gets zeros: it has nothing to say.
    """
    order = np.argsort(query_index, kind="stable")
    values = np.asarray(scores, dtype=np.float64)[order]
    offsets = offsets_of(np.asarray(query_index, dtype=np.int64)[order])
    starts, sizes = offsets[:-1], np.diff(offsets)
    if len(values) == 0:
        return values
    centred = values - np.repeat(np.add.reduceat(values, starts) / sizes, sizes)
    deviation = np.sqrt(np.add.reduceat(centred**2, starts) / sizes)
    # Rounding leaves equal scores a deviation of some 1e-17, which would blow up to z-scores of 1.
    constant = np.maximum.reduceat(values, starts) == np.minimum.reduceat(values, starts)
    scale = np.where(constant | (deviation == 0), 0.0, 1 / np.where(deviation == 0, 1, deviation))
    result = np.empty(len(values))
    result[order] = centred * np.repeat(scale, sizes)
    return result


def fuse(ranking: pa.Table, weight: float) -> pa.Table:
    """The ranking with ``fused = weight · z(reranker) + (1 - weight) · z(first stage)`` filled in.

    z-scores are taken per query over the scored candidates; the others keep their first-stage
    order below them and have no fused score. Weight 0 is the first stage, 1 the reranker.
    """
    if not 0 <= weight <= 1:
        raise InputError(f"fusion weight {weight} is not between 0 (first stage) and 1 (reranker)")
    scored = ranking["score"].is_valid().to_numpy()
    query_index, _ = encode(ranking["query_id"])
    kept = ranking.filter(pa.array(scored))
    reranker = z_scores(query_index[scored], kept["score"].to_numpy())
    first_stage = z_scores(query_index[scored], kept["first_stage_score"].to_numpy())
    fused = np.full(len(ranking), -np.inf, dtype=np.float32)
    fused[scored] = weight * reranker + (1 - weight) * first_stage
    # Ranked as stored, in float32, so that the column explains the order.
    rank = rank_within(query_index, fused, ranking["first_stage_rank"].to_numpy())
    filled = {"fused_rank": pa.array(rank), "fused_score": pa.array(fused, mask=~scored)}
    columns = {name: filled.get(name, ranking[name]) for name in RANKING.names}
    return pa.table(columns).cast(RANKING)


def choose_weight(
    ranking: pa.Table,
    judgements: Judgements,
    *,
    metric: str = "nDCG@10",
    grid: Sequence[float] = GRID,
) -> WeightChoice:
    """The weight that `fit_weight` finds, with the metric's curve over the grid and that weight.

    The metric itself is not maximised: over the few hundred queries of a dev split its best
    weight is mostly noise, and is often 0 where a positive weight helps.
    """
    weight = fit_weight(ranking, judgements)
    curve = tuple(
        (float(place), _mean(fuse(ranking, place), judgements, metric=metric))
        for place in sorted({*grid, weight})
    )
    return WeightChoice(weight, metric, judgements.split, curve)


def fit_weight(ranking: pa.Table, judgements: Judgements) -> float:
    """The share of the reranker in the conditional logit that explains the positives best.

    Maximises, over coefficients of both z-scores that are not negative, the likelihood that the
    softmax over a query's scored candidates gives its positives (McFadden, "Conditional logit
    analysis of qualitative choice behavior", 1974), with a slight pull to zero that keeps the
    coefficients finite. Queries without a positive among the scored candidates say nothing.
    """
    scored = ranking.filter(ranking["score"].is_valid())
    codes, query_ids = encode(scored["query_id"])
    features = np.stack(
        [
            z_scores(codes, scored["score"].to_numpy()),
            z_scores(codes, scored["first_stage_score"].to_numpy()),
        ]
    )
    positive = is_positive(scored, judgements)
    useful = np.bincount(codes[positive], minlength=len(query_ids)) > 0
    kept = useful[codes]
    if not kept.any():
        return 0.0
    found = optimize.minimize(
        _loss,
        np.array([0.5, 0.5]),
        args=(features[:, kept], np.unique(codes[kept], return_inverse=True)[1], positive[kept]),
        bounds=[(0, None), (0, None)],
        method="L-BFGS-B",
    )
    reranker, first_stage = found.x
    return round(float(reranker / (reranker + first_stage)), 2) if found.x.sum() > 0 else 0.0


def _loss(
    coefficients: FloatArray, features: FloatArray, codes: IntArray, positive: BoolArray
) -> float:
    logits = coefficients @ features
    exponentials = np.exp(logits - logits.max())
    everything = np.bincount(codes, exponentials)
    wanted = np.bincount(codes[positive], exponentials[positive], minlength=len(everything))
    return float(-np.log(wanted / everything).mean() + PULL * (coefficients**2).sum())


def _mean(ranking: pa.Table, judgements: Judgements, *, metric: str) -> float:
    rows = per_query_metrics(ranking, judgements, kind="fused", depth=0, metrics=[metric])
    return float(rows["value"].to_numpy().mean())
