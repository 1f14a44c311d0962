"""The score that mines: the first stage's, the reranker's, or both, whichever ranks dev better."""

from dataclasses import dataclass

import numpy as np

from strop.pipeline.arrays import Floats, Ints


@dataclass(frozen=True)
class MiningScore:
    """Scores in one unit a query, the margin in that unit, and which models they come from.

    ``scale`` are the logits that stand for a unit of the first stage's scores, where both mine.
    """

    values: Floats
    margin: float
    source: str
    scale: float | None = None


def mining_score(
    query_codes: Ints,
    first_stage: Floats,
    reranker: Floats | None,
    *,
    weight: float,
    margin: float,
    first_stage_margin: float,
    scale: float | None = None,
) -> MiningScore:
    """Combine both scores by the reranker's fusion weight on dev.

    At weight 1 the reranker alone mines, at 0 or without a reranker the first stage. In between,
    first-stage scores are brought to the scale of the reranker's logits by the ratio of their
    spreads within queries, and added in the proportion that ranked dev best: the result keeps the
    unit of the logits, so an absolute margin keeps its meaning. Of other pairs the spreads are
    others: whose scores are to be compared with these takes their ``scale``. A row without one of
    the scores (NaN) has no score, and says nothing of the others' scale.
    """
    if reranker is None or weight == 0:
        return MiningScore(first_stage, first_stage_margin, "first_stage")
    if weight == 1:
        return MiningScore(reranker, margin, "reranker")
    if scale is None:
        scale = spread(query_codes, reranker) / max(spread(query_codes, first_stage), 1e-12)
    fused = reranker + (1 - weight) / weight * scale * first_stage
    return MiningScore(fused, margin, "fused", scale)


def spread(query_codes: Ints, scores: Floats) -> float:
    """The standard deviation within queries of the scores that are known, pooled over them."""
    known = ~np.isnan(scores)
    query_codes, scores = query_codes[known], scores[known]
    counts = np.bincount(query_codes)
    means = np.bincount(query_codes, weights=scores) / np.maximum(counts, 1)
    return float(np.sqrt(np.mean((scores - means[query_codes]) ** 2))) if len(scores) else 0.0
