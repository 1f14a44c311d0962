"""Mining with strop's own functions, from texts and vectors to chosen negatives."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from strop.artifacts.schemas import QRELS, QUERIES
from strop.pipeline.config import Mining
from strop.pipeline.first_stage.exact_search import nearest
from strop.pipeline.first_stage.retrieval import candidate_tables, positive_scores
from strop.pipeline.mining.duplicates import text_keys
from strop.pipeline.mining.pool import pairs_to_score, sources, window
from strop.pipeline.mining.rows import selection_rows
from strop.pipeline.mining.selection import Round, select


def mining_config(depth: int, negatives: int) -> Mining:
    """The highest below the positive's score, as the peers choose them."""
    return Mining.model_validate(
        {
            "pool_size": depth,
            "window_size": depth,
            "group_size": negatives + 1,
            "sampler": "top",
            "guard": {"margin": 0.0, "positive_reference": "weakest", "near_duplicate": None},
        }
    )


def mined_rows(
    passages: list[str],
    queries: list[dict[str, Any]],
    vectors: tuple[Any, Any],
    score: Callable[[pa.Table], pa.Table],
    *,
    depth: int,
) -> pa.Table:
    """The candidates of every query with the scores of both models."""
    passage_ids = pa.array([str(place) for place in range(len(passages))])
    query_ids = [str(place) for place in range(len(queries))]
    table = _with_schema(
        QUERIES,
        query_id=query_ids,
        text=[query["text"] for query in queries],
        split=["train"] * len(queries),
    )
    qrels = _with_schema(
        QRELS,
        query_id=query_ids,
        passage_id=[str(query["positive"]) for query in queries],
        grade=[1] * len(queries),
        split=["train"] * len(queries),
    )

    def blocks() -> list[Any]:
        return [vectors[0]]

    best = nearest(blocks, vectors[1], min(depth, len(passages)))
    candidates = pa.concat_tables(candidate_tables(best, passage_ids, table))
    positives = positive_scores(blocks, passage_ids, table, vectors[1], qrels)
    found = window(sources(candidates, [], mining_config(depth, 1)), pa.array(query_ids))
    scores = score(pa.concat_tables(pairs_to_score(found, qrels)))
    return selection_rows(found, positives, qrels, {"reranker_score": scores})


def select_again(passages: list[str], rows: pa.Table, *, depth: int, negatives: int) -> pa.Table:
    """The selection from scores that are there: no forward pass."""
    corpus = pa.table(
        {
            "passage_id": [str(place) for place in range(len(passages))],
            "title": [""] * len(passages),
            "text": passages,
        }
    )
    keys = text_keys([corpus], rows["passage_id"].combine_chunks())
    this = Round(
        number=1, rounds=1, seed=1, temperature=1.0, weight=1.0, group_size=negatives + 1, draw=1
    )
    return select(rows, keys, None, mining_config(depth, negatives), this).table


def chosen(
    selection: pa.Table, passages: list[str], queries: list[dict[str, Any]]
) -> dict[str, list[str]]:
    """The texts of each query's negatives."""
    found: dict[str, list[str]] = {query["text"]: [] for query in queries}
    names = ["query_id", "passage_id", "decision"]
    for row in selection.select(names).to_pylist():
        if row["decision"] == "negative":
            found[queries[int(row["query_id"])]["text"]].append(passages[int(row["passage_id"])])
    return found


def _with_schema(schema: pa.Schema, **columns: list[Any]) -> pa.Table:
    """A table of the schema, null where no column is given."""
    count = len(next(iter(columns.values())))
    arrays = [
        pa.array(columns[field.name]).cast(field.type)
        if field.name in columns
        else pa.nulls(count, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)
