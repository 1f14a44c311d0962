"""How probably a passage is relevant by the scores that mine, read off dev."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.mining.calibration import Calibration, fit_calibration
from strop.pipeline.mining.mining_score import mining_score


def dev_calibrations(
    ranking: pa.Table, qrels: pa.Table, *, weight: float, scale: float | None
) -> dict[str, Calibration]:
    """The calibrations of ``mining`` (at the reranker's fusion weight) and of ``first_stage``.

    ``scale`` is that of the scores that mine: with a scale of its own, dev's would be of another
    level, and their probabilities those of other scores.
    Only candidates that the reranker scored count; where it has scored none, as with a fresh head,
    all do, and the first stage mines. Raises `InputError` when none of them, or all, are relevant.
    """
    scored = ranking.filter(ranking["score"].is_valid())
    rows = scored if len(scored) else ranking
    relevant = qrels.filter(pc.greater(qrels["grade"], 0)).select(["query_id", "passage_id"])
    relevant = relevant.append_column("relevant", pa.array(np.ones(len(relevant), bool)))
    rows = rows.join(relevant, keys=["query_id", "passage_id"], join_type="left outer")
    positive = rows["relevant"].is_valid().to_numpy()
    codes = rows["query_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    first_stage = _numbers(rows["first_stage_score"])
    mining = mining_score(
        np.asarray(codes, np.int64),
        first_stage,
        _numbers(rows["score"]) if len(scored) else None,
        weight=weight,
        margin=0.0,
        first_stage_margin=0.0,
        scale=scale,
    )
    return {
        "mining": fit_calibration(mining.values, positive),
        "first_stage": fit_calibration(first_stage, positive),
    }


def _numbers(column: pa.ChunkedArray) -> Any:
    return column.to_numpy().astype(np.float64)
