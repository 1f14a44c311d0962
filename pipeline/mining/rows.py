"""The rows that a selection decides on: a round's window, its positives, and all their scores."""

import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.mining.pool import KEYS

JUDGED = "judged"
"""The pool of a positive that no retriever found."""
ORDER = [("query_id", "ascending"), ("rank", "ascending"), ("passage_id", "ascending")]
SCORES = ("reranker_score", "teacher_score", "earlier_score")


def selection_rows(
    window: pa.Table,
    positive_scores: pa.Table,
    qrels: pa.Table,
    scores: dict[str, pa.Table | None],
) -> pa.Table:
    """The window and the positives that it lacks, sorted by query and first-stage rank.

    ``positive_scores`` has the first stage's exact score of every judged positive; ``scores`` the
    score tables by column name, None for a model that does not score this round. Rows that a
    model did not score are null there; ``grade`` is null where nobody judged.
    """
    queries = pc.unique(window["query_id"])
    positives = positive_scores.filter(pc.is_in(positive_scores["query_id"], value_set=queries))
    positives = positives.rename_columns([*KEYS, "positive_score"])
    rows = window.drop_columns(["scored"]).join(
        positives, keys=KEYS, join_type="full outer", coalesce_keys=True
    )
    rows = pa.table(
        {
            "query_id": rows["query_id"],
            "passage_id": rows["passage_id"],
            "rank": rows["rank"],
            "pool": pc.coalesce(rows["pool"], pa.scalar(JUDGED)),
            "first_stage_score": pc.coalesce(rows["first_stage_score"], rows["positive_score"]),
            "positive": pc.is_valid(rows["positive_score"]),
        }
    )
    judged = qrels.filter(pc.is_in(qrels["query_id"], value_set=queries)).select([*KEYS, "grade"])
    rows = rows.join(judged, keys=KEYS, join_type="left outer")
    for name in SCORES:
        rows = _with_scores(rows, name, scores.get(name))
    return rows.sort_by(ORDER).combine_chunks()


def _with_scores(rows: pa.Table, name: str, scores: pa.Table | None) -> pa.Table:
    if scores is None:
        return rows.append_column(name, pa.nulls(rows.num_rows, pa.float32()))
    return rows.join(scores.rename_columns([*KEYS, name]), keys=KEYS, join_type="left outer")
