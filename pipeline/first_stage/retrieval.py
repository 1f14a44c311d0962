"""Candidates of every query, and the exact first-stage scores of the judged positives."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import CANDIDATES, SCORES
from strop.pipeline.data.document_map import DocumentMap
from strop.pipeline.first_stage.exact_search import Blocks, Rows, pair_scores
from strop.pipeline.first_stage.vectors import Vectors

PAIR = ["query_id", "passage_id"]


def candidate_tables(
    nearest: Iterable[tuple[int, Vectors, Rows]],
    passage_ids: pa.Array,
    queries: pa.Table,
    source: str = "dense",
) -> Iterator[pa.Table]:
    """Candidate tables of what a search found: blocks of (first query, scores, rows)."""
    for start, scores, rows in nearest:
        found = rows >= 0
        query_rows = start + np.repeat(np.arange(len(rows)), found.sum(axis=1))
        ranks = np.broadcast_to(np.arange(1, rows.shape[1] + 1), rows.shape)[found]
        yield candidate_rows(
            queries,
            query_rows,
            passage_ids.take(pa.array(rows[found])),
            ranks=ranks,
            scores=scores[found],
            source=source,
        )


def candidate_rows(
    queries: pa.Table,
    query_rows: Rows,
    passage_ids: pa.Array,
    *,
    ranks: Any,
    scores: Any,
    source: str,
) -> pa.Table:
    """A candidates table; ``query_rows`` are the rows of ``queries``, one a candidate."""
    taken = queries.select(["query_id", "split"]).take(pa.array(query_rows))
    columns = {
        "query_id": taken["query_id"],
        "passage_id": passage_ids,
        "rank": pa.array(np.asarray(ranks, np.int32)),
        "score": pa.array(np.asarray(scores, np.float32)),
        "source": _constant(source, len(query_rows)),
        "split": taken["split"],
    }
    return pa.table(columns, schema=CANDIDATES)


def positive_scores(
    blocks: Blocks,
    passage_ids: pa.Array,
    queries: pa.Table,
    query_vectors: Vectors,
    qrels: pa.Table,
) -> pa.Table:
    """The first-stage score of every judged positive, found or missed by the search."""
    positives = qrels.filter(pc.greater(qrels["grade"], 0))
    query_rows = positions(queries["query_id"], positives["query_id"])
    passage_rows = positions(passage_ids, positives["passage_id"])
    scores = pair_scores(blocks, query_vectors, query_rows, passage_rows)
    return pa.table(
        {
            "query_id": positives["query_id"],
            "passage_id": positives["passage_id"],
            "score": pa.array(scores),
        },
        schema=SCORES,
    )


def recall_ceiling(
    candidates: Iterable[pa.Table], qrels: pa.Table, documents: DocumentMap
) -> dict[str, float]:
    """By split, the share of judged positives that are among the candidates, given in parts."""
    positives = qrels.filter(pc.greater(qrels["grade"], 0)).unify_dictionaries()
    rows = pa.array(np.arange(positives.num_rows))
    keys = positives.select(PAIR).append_column("row", rows)
    found = np.zeros(positives.num_rows, bool)
    for part in candidates:
        pairs = documents.named(part.select(PAIR))
        found[keys.join(pairs, keys=PAIR, join_type="left semi")["row"].to_numpy()] = True
    splits = np.array(positives["split"].cast(pa.string()).to_pylist())
    return {str(name): round(float(found[splits == name].mean()), 4) for name in np.unique(splits)}


def _constant(value: str, count: int) -> pa.Array:
    indices = pa.array(np.zeros(count, dtype=np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array([value]))


def positions(values: Any, wanted: Any) -> Rows:
    """The row in ``values`` of each wanted one, all of which must be there."""
    found = pc.index_in(wanted, value_set=values)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)
