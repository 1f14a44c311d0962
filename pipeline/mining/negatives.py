"""Negatives and suspects: what training and people read off a selection."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import NEGATIVE, NEGATIVES, SUSPECTS
from strop.pipeline.ragged import offsets_from_lengths


def negatives(selection: pa.Table, queries: pa.Table) -> pa.Table:
    """One row a query: its positives, its negatives with the hardest first, and its weight.

    ``hardness`` is the negative's mining score minus the mean of the positives'; both are null
    for one that was not scored, and these come last. Queries without any negative are left out.
    """
    chosen = selection.filter(pc.equal(selection["decision"], "negative"))
    chosen = chosen.sort_by([("query_id", "ascending"), ("mining_score", "descending")])
    positive = selection.filter(pc.equal(selection["decision"], "positive"))
    positive = positive.sort_by([("query_id", "ascending"), ("passage_id", "ascending")])
    query_ids = pc.unique(chosen["query_id"])
    positive = positive.filter(pc.is_in(positive["query_id"], value_set=query_ids))
    means = _mean_by_query(positive, query_ids)
    codes = _codes(chosen, query_ids)
    items = pa.StructArray.from_arrays(
        [
            chosen["passage_id"].combine_chunks(),
            chosen["mining_score"].combine_chunks(),
            chosen["rank"].combine_chunks(),
            chosen["sampler"].cast(pa.string()).combine_chunks(),
            _float32(chosen["mining_score"].to_numpy() - means[codes]),
        ],
        fields=list(NEGATIVE),
    )
    counts = np.bincount(codes, minlength=len(query_ids))
    positive_counts = np.bincount(_codes(positive, query_ids), minlength=len(query_ids))
    weights = queries["weight"].take(pc.index_in(query_ids, value_set=queries["query_id"]))
    return pa.table(
        {
            "query_id": query_ids,
            "positive_ids": _lists(positive_counts, positive["passage_id"].combine_chunks()),
            "negatives": _lists(counts, items),
            "group_size": pa.array((counts + 1).astype(np.int32)),
            "weight": weights,
        },
        schema=NEGATIVES,
    )


def suspects(selection: pa.Table) -> pa.Table:
    """The probable unlabelled positives, each beside the mean score of its query's positives."""
    chosen = selection.filter(pc.equal(selection["decision"], "suspect"))
    positive = selection.filter(pc.equal(selection["decision"], "positive"))
    query_ids = pc.unique(selection["query_id"])
    means = _mean_by_query(positive, query_ids)[_codes(chosen, query_ids)]
    return pa.table(
        {
            "query_id": chosen["query_id"],
            "passage_id": chosen["passage_id"],
            "score": chosen["mining_score"],
            "first_stage_score": chosen["first_stage_score"],
            "positive_score": pa.array(means.astype(np.float32)),
            "rule": chosen["rule"],
        },
        schema=SUSPECTS,
    )


def mining_summary(selection: pa.Table, group_size: int) -> dict[str, Any]:
    """Counts by decision and rule, and how many queries had too few candidates for their group."""
    rules = pc.value_counts(
        pc.binary_join_element_wise(
            selection["decision"].cast(pa.string()), selection["rule"].cast(pa.string()), ": "
        )
    ).to_pylist()
    chosen = selection.filter(pc.equal(selection["decision"], "negative"))
    query_ids = pc.unique(selection["query_id"])
    counts = np.bincount(_codes(chosen, query_ids), minlength=len(query_ids))
    return {
        "queries": len(query_ids),
        "negatives": chosen.num_rows,
        "suspects": _count(selection, "suspect"),
        "queries_with_fewer_negatives": int((counts < group_size - 1).sum()),
        "queries_without_negatives": int((counts == 0).sum()),
        "rows": {item["values"]: item["counts"] for item in rules},
    }


def _float32(values: Any) -> pa.Array:
    return pa.array(values.astype(np.float32), mask=np.isnan(values))


def _count(selection: pa.Table, decision: str) -> int:
    return int(pc.sum(pc.equal(selection["decision"], decision)).as_py() or 0)


def _codes(rows: pa.Table, query_ids: pa.Array) -> Any:
    return pc.index_in(rows["query_id"], value_set=query_ids).to_numpy().astype(np.int64)


def _mean_by_query(rows: pa.Table, query_ids: pa.Array) -> Any:
    codes, count = _codes(rows, query_ids), len(query_ids)
    sums = np.bincount(codes, weights=rows["mining_score"].to_numpy(), minlength=count)
    return sums / np.maximum(np.bincount(codes, minlength=count), 1)


def _lists(counts: Any, values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets_from_lengths(counts).astype(np.int32)), values)
