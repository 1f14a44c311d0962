"""Candidates of every query, and the exact first-stage scores of the judged positives."""

from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import CANDIDATES, SCORES
from strop.pipeline.first_stage.encoding import Vectors
from strop.pipeline.first_stage.index import Rows, search
from strop.pipeline.progress import SILENT, Progress


def retrieve(
    index: faiss.Index,
    passage_ids: pa.Array,
    queries: pa.Table,
    query_vectors: Vectors,
    *,
    depth: int,
    source: str = "dense",
    progress: Progress = SILENT,
) -> Iterator[pa.Table]:
    """Candidate tables, a block of queries each, at most ``depth`` rows a query."""
    progress.start(len(query_vectors), "queries")
    for start, scores, rows in search(index, query_vectors, min(depth, len(passage_ids))):
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
        progress.advance(len(rows))


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
    index: faiss.Index,
    passage_ids: pa.Array,
    queries: pa.Table,
    query_vectors: Vectors,
    qrels: pa.Table,
) -> pa.Table:
    """The first-stage score of every judged positive, found or missed by the search."""
    positives = qrels.filter(pc.greater(qrels["grade"], 0))
    query_rows = positions(queries["query_id"], positives["query_id"])
    passage_rows = positions(passage_ids, positives["passage_id"])
    vectors = np.zeros((len(passage_rows), index.d), dtype=np.float32)
    for position, row in enumerate(passage_rows.tolist()):
        vectors[position] = index.reconstruct(row)
    scores = np.einsum("ij,ij->i", vectors, query_vectors[query_rows]).astype(np.float32)
    return pa.table(
        {
            "query_id": positives["query_id"],
            "passage_id": positives["passage_id"],
            "score": pa.array(scores),
        },
        schema=SCORES,
    )


def recall_ceiling(candidates: pa.Table, qrels: pa.Table) -> dict[str, float]:
    """By split, the share of judged positives that are among the candidates."""
    positives = qrels.filter(pc.greater(qrels["grade"], 0)).unify_dictionaries()
    found = positives.join(
        candidates.select(["query_id", "passage_id", "rank"]),
        keys=["query_id", "passage_id"],
        join_type="left outer",
    )
    shares = {}
    for split in sorted(set(positives["split"].cast(pa.string()).to_pylist())):
        ranks = found.filter(pc.equal(found["split"], split))["rank"]
        shares[split] = round(1 - ranks.null_count / len(ranks), 4)
    return shares


def _constant(value: str, count: int) -> pa.Array:
    indices = pa.array(np.zeros(count, dtype=np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array([value]))


def positions(values: Any, wanted: Any) -> Rows:
    """The row in ``values`` of each wanted one, all of which must be there."""
    found = pc.index_in(wanted, value_set=values)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)
