"""Negatives and suspects: what training and people read off a selection."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import NEGATIVE, NEGATIVES, POSITIVE, SUSPECTS
from strop.pipeline.ragged import offsets_from_lengths

POSITIVES = pa.array(["positive", "relabelled"])
_BOTH = ["query_id", "passage_id", "first_stage_score", "mining_score", "decision"]
READ_BY_NEGATIVES = [*_BOTH, "rank", "teacher_score", "grade", "sampler", "weight"]
READ_BY_SUSPECTS = [*_BOTH, "rule"]
"""The columns of a selection that `negatives` and `suspects` read."""


def negatives(selection: pa.Table, group_sizes: pa.Table, queries: pa.Table) -> pa.Table:
    """One row a query: its positives, its negatives with the hardest first, and its weight.

    Relabelled suspects are positives of grade 1. ``hardness`` is the negative's mining score minus
    the mean of the judged positives'; both are null for one that was not scored, and these come
    last. Queries without any negative are left out.
    """
    chosen = selection.filter(pc.equal(selection["decision"], "negative"))
    chosen = chosen.sort_by([("query_id", "ascending"), ("mining_score", "descending")])
    query_ids = pc.unique(chosen["query_id"])
    positive = selection.filter(pc.is_in(_text(selection["decision"]), value_set=POSITIVES))
    positive = positive.filter(pc.is_in(positive["query_id"], value_set=query_ids))
    positive = positive.sort_by([("query_id", "ascending"), ("passage_id", "ascending")])
    means = _positive_means(selection, query_ids)
    codes = _codes(chosen, query_ids)
    hardness = chosen["mining_score"].to_numpy() - means[codes]
    counts = np.bincount(codes, minlength=len(query_ids))
    positive_counts = np.bincount(_codes(positive, query_ids), minlength=len(query_ids))
    sized = group_sizes.take(pc.index_in(query_ids, value_set=group_sizes["query_id"]))
    return pa.table(
        {
            "query_id": query_ids,
            "positives": _lists(positive_counts, _positives(positive)),
            "negatives": _lists(counts, _negatives(chosen, hardness)),
            "group_size": pa.array((counts + 1).astype(np.int32)),
            "difficulty": sized["difficulty"],
            "weight": queries["weight"].take(pc.index_in(query_ids, value_set=queries["query_id"])),
        },
        schema=NEGATIVES,
    )


def _positives(rows: pa.Table) -> pa.StructArray:
    columns = {
        "passage_id": rows["passage_id"],
        "grade": pc.coalesce(rows["grade"], pa.scalar(1, pa.int32())),
        "first_stage_score": rows["first_stage_score"],
        "teacher_score": rows["teacher_score"],
    }
    return _structs(columns, POSITIVE)


def _negatives(rows: pa.Table, hardness: Any) -> pa.StructArray:
    columns = {
        "passage_id": rows["passage_id"],
        "score": rows["mining_score"],
        "rank": rows["rank"],
        "sampler": _text(rows["sampler"]),
        "hardness": pa.chunked_array([_float32(hardness)]),
        "weight": rows["weight"],
        "first_stage_score": rows["first_stage_score"],
        "teacher_score": rows["teacher_score"],
    }
    return _structs(columns, NEGATIVE)


def _structs(columns: dict[str, pa.ChunkedArray], kind: pa.StructType) -> pa.StructArray:
    fields = [kind.field(index) for index in range(kind.num_fields)]
    return pa.StructArray.from_arrays(
        [columns[field.name].combine_chunks() for field in fields], fields=fields
    )


def suspects(selection: pa.Table) -> pa.Table:
    """The probable unlabelled positives, each beside the mean score of its query's positives.

    ``decision`` says what became of each: ``suspect`` (dropped), ``relabelled``, or ``negative``
    for one that was sampled with less weight.
    """
    chosen = selection.filter(are_suspects(selection))
    query_ids = pc.unique(selection["query_id"])
    means = _positive_means(selection, query_ids)[_codes(chosen, query_ids)]
    return pa.table(
        {
            "query_id": chosen["query_id"],
            "passage_id": chosen["passage_id"],
            "score": chosen["mining_score"],
            "first_stage_score": chosen["first_stage_score"],
            "positive_score": pa.array(means.astype(np.float32)),
            "rule": chosen["rule"],
            "decision": chosen["decision"],
        },
        schema=SUSPECTS,
    )


def are_suspects(selection: pa.Table) -> pa.ChunkedArray:
    """Which rows a guard took for unlabelled positives, whatever became of them."""
    decision, rule = _text(selection["decision"]), _text(selection["rule"])
    used = pc.and_(pc.equal(decision, "negative"), pc.not_equal(rule, "sampled"))
    guarded = pc.is_in(decision, value_set=pa.array(["suspect", "relabelled"]))
    return pc.or_(guarded, used)


def mining_summary(selection: pa.Table, group_sizes: pa.Table) -> dict[str, Any]:
    """Counts by decision and rule, and how many queries have a group smaller than it should be."""
    rules = pc.value_counts(
        pc.binary_join_element_wise(_text(selection["decision"]), _text(selection["rule"]), ": ")
    ).to_pylist()
    chosen = selection.filter(pc.equal(selection["decision"], "negative"))
    query_ids = pc.unique(selection["query_id"])
    counts = np.bincount(_codes(chosen, query_ids), minlength=len(query_ids))
    sized = group_sizes.take(pc.index_in(query_ids, value_set=group_sizes["query_id"]))
    wanted = sized["group_size"].to_numpy() - 1
    return {
        "queries": len(query_ids),
        "negatives": chosen.num_rows,
        "suspects": pc.sum(are_suspects(selection)).as_py() or 0,
        "queries_with_fewer_negatives": int((counts < wanted).sum()),
        "queries_without_negatives": int((counts == 0).sum()),
        "rows": {item["values"]: item["counts"] for item in sorted(rules, key=_by_name)},
    }


def _by_name(item: dict[str, Any]) -> str:
    return str(item["values"])


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string())


def _float32(values: Any) -> pa.Array:
    return pa.array(values.astype(np.float32), mask=np.isnan(values))


def _codes(rows: pa.Table, query_ids: pa.Array) -> Any:
    return pc.index_in(rows["query_id"], value_set=query_ids).to_numpy().astype(np.int64)


def _positive_means(selection: pa.Table, query_ids: pa.Array) -> Any:
    """The mean mining score of the judged positives of each query; NaN without one.

    A positive by verdict may have no score: what mines has not seen it.
    """
    scored = pc.is_valid(selection["mining_score"])
    rows = selection.filter(pc.and_(pc.equal(selection["decision"], "positive"), scored))
    rows = rows.filter(pc.is_in(rows["query_id"], value_set=query_ids))
    codes, count = _codes(rows, query_ids), len(query_ids)
    sums = np.bincount(codes, weights=rows["mining_score"].to_numpy(), minlength=count)
    counts = np.bincount(codes, minlength=count)
    return np.divide(sums, counts, out=np.full(count, np.nan), where=counts > 0)


def _lists(counts: Any, values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets_from_lengths(counts).astype(np.int32)), values)
