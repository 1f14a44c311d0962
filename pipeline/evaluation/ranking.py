"""Rankings of candidates, and the one definition of order and ties that all of strop uses."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from strop.artifacts.schemas import RANKING
from strop.pipeline.errors import InputError

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

RANK_COLUMNS = {"first_stage": "first_stage_rank", "reranker": "rank", "fused": "fused_rank"}
"""The column of a ranking table that holds the order of each kind of ranking."""


def encode(column: pa.ChunkedArray) -> tuple[IntArray, list[str]]:
    """Codes from 0 of a text column's rows, and the distinct texts in order of appearance."""
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = np.asarray(encoded.indices, dtype=np.int64)
    return codes, [str(text) for text in encoded.dictionary.to_pylist()]


def offsets_of(sorted_codes: IntArray) -> IntArray:
    """Where each run of equal codes starts, closed by the number of rows: ``runs + 1`` offsets."""
    if len(sorted_codes) == 0:
        return np.zeros(1, dtype=np.int64)
    changes = np.flatnonzero(sorted_codes[1:] != sorted_codes[:-1]) + 1
    return np.concatenate(([0], changes, [len(sorted_codes)])).astype(np.int64)


def rank_within(
    query_index: NDArray[np.integer], scores: NDArray[np.floating], *tiebreaks: NDArray[np.integer]
) -> NDArray[np.int32]:
    """Ranks from 1 within each query: score descending, then each tiebreak ascending.

    All arrays hold one value a row; rows may come in any order. A score of -inf ranks last.
    """
    if np.isnan(scores).any():
        raise InputError(
            f"{int(np.isnan(scores).sum()):,} of {len(scores):,} scores are NaN and have no rank;"
            " look at the reranker that made them"
        )
    order = np.lexsort((*reversed(tiebreaks), -scores, query_index))
    offsets = offsets_of(np.asarray(query_index, dtype=np.int64)[order])
    ranks = np.empty(len(scores), dtype=np.int32)
    ranks[order] = np.arange(len(scores)) - np.repeat(offsets[:-1], np.diff(offsets)) + 1
    return ranks


def within_depth(candidates: pa.Table, depth: int) -> pa.Table:
    """The candidates that a reranker scores: those of first-stage rank 1 to ``depth``, in order."""
    return candidates.filter(pc.less_equal(candidates["rank"], pa.scalar(depth, pa.int32())))


def build_ranking(
    candidates: pa.Table, scores: NDArray[np.floating] | None, depth: int
) -> pa.Table:
    """A ``ranking`` table in the candidates' row order, its fused columns null until `fuse`.

    ``scores`` belong to the rows of ``within_depth(candidates, depth)``; None ranks by the first
    stage alone. Candidates beyond ``depth`` have no score and keep their first-stage order below
    all scored ones.
    """
    first_stage_rank = candidates["rank"].to_numpy()
    query_index, _ = encode(candidates["query_id"])
    _require_distinct_ranks(candidates, query_index, first_stage_rank)
    scored = first_stage_rank <= depth if scores is not None else np.zeros(len(candidates), bool)
    column = np.full(len(candidates), -np.inf, dtype=np.float32)
    if scores is not None:
        _require_one_finite_score_each(scores, int(scored.sum()), depth)
        column[scored] = scores
    rank = rank_within(query_index, column, first_stage_rank)
    nothing = pa.nulls(len(candidates))
    columns = {
        "query_id": candidates["query_id"],
        "passage_id": candidates["passage_id"],
        "split": candidates["split"],
        "rank": rank,
        "score": pa.array(column, mask=~scored),
        "first_stage_rank": first_stage_rank,
        "first_stage_score": candidates["score"],
        "fused_rank": nothing,
        "fused_score": nothing,
    }
    return pa.table(columns).cast(RANKING)


def _require_distinct_ranks(
    candidates: pa.Table, query_index: IntArray, ranks: NDArray[np.int32]
) -> None:
    order = np.lexsort((ranks, query_index))
    same = (query_index[order][1:] == query_index[order][:-1]) & (
        ranks[order][1:] == ranks[order][:-1]
    )
    if same.any():
        row = int(order[1:][same][0])
        raise InputError(
            f"query {candidates['query_id'][row].as_py()!r} has two candidates of first-stage rank"
            f" {ranks[row]}; ranks within a query must be distinct"
        )


def _require_one_finite_score_each(
    scores: NDArray[np.floating], num_scored: int, depth: int
) -> None:
    if len(scores) != num_scored:
        raise InputError(
            f"got {len(scores):,} scores for {num_scored:,} candidates down to depth {depth};"
            " score exactly the rows of within_depth(candidates, depth)"
        )
    if not np.isfinite(scores).all():
        raise InputError(
            f"{int((~np.isfinite(scores)).sum()):,} of {len(scores):,} reranker scores are not"
            " finite; look at the reranker's training log for a diverged loss"
        )
