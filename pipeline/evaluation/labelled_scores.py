"""Scores of candidates with what is labelled of them: what a diagnosis and a calibration read."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.metrics import Judgements, is_positive
from strop.pipeline.evaluation.ranking import BoolArray, FloatArray, IntArray, encode


@dataclass(frozen=True)
class LabelledScores:
    """One value a scored candidate: its score, whether it is a positive, its query's code."""

    scores: FloatArray
    positive: BoolArray
    queries: IntArray


def labelled_scores(ranking: pa.Table, judgements: Judgements) -> LabelledScores:
    """The scored candidates of the judged queries, in the ranking's order.

    Whatever has no grade above 0 is no positive, so unlabelled positives count as negatives.
    """
    scored = judged_rows(ranking.filter(ranking["score"].is_valid()), judgements)
    if len(scored) == 0:
        raise InputError(f"no candidate of split {judgements.split!r} has a score to diagnose")
    scores = scored["score"].to_numpy().astype(np.float64)
    return LabelledScores(scores, is_positive(scored, judgements), encode(scored["query_id"])[0])


def judged_rows(rows: pa.Table, judgements: Judgements) -> pa.Table:
    """The rows of queries that have a positive in the judgements."""
    return rows.filter(pc.is_in(rows["query_id"], pa.array(judgements.query_ids, pa.string())))


def group_codes(rows: pa.Table, judgements: Judgements) -> IntArray:
    """The code of the ``group_id`` of each row's query; rows are those of judged queries."""
    place = pc.index_in(rows["query_id"], value_set=pa.array(judgements.query_ids, pa.string()))
    by_query = encode(pa.chunked_array([judgements.group_ids], pa.string()))[0]
    return np.asarray(by_query[place.to_numpy()], np.int64)
