"""The table of the curriculum: what one round trained on, in one row."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import CURRICULUM
from strop.pipeline.mining.negatives import are_suspects
from strop.pipeline.mining.pool import KEYS

EASY, MEDIUM, HARD = 0, 1, 2
READ_OF_SELECTION = ["query_id", "mining_score", "decision", "rule"]
READ_OF_NEGATIVES = ["query_id", "negatives", "group_size"]
"""The columns that `describe_round` reads."""


def describe_round(
    number: int,
    hardness: float,
    group_size: int,
    selection: pa.Table,
    group_sizes: pa.Table,
    negatives: pa.Table,
    last_negatives: pa.Table | None,
    train_log: pa.Table,
) -> pa.Table:
    """One ``curriculum`` row; its columns are told at the schema.

    ``hardness`` is the factor that the round's curriculum put on the quotas of hard negatives,
    ``group_size`` the mean that groups should have; ``last_negatives`` are those of the last
    accepted round, None for the first.
    """
    bands = _bands(selection)
    rules = selection["rule"].filter(are_suspects(selection)).cast(pa.string())
    guarded = pc.value_counts(rules).to_pylist()
    violations = train_log["violation_share"].to_numpy()
    tenth = max(1, len(violations) // 10)
    trained, queries = negatives.num_rows, group_sizes.num_rows
    unfilled = group_size * queries - _sum(negatives["group_size"]) - (queries - trained)
    row = {
        "round": number,
        "groups": _sum(train_log["groups"]),
        "pairs": _sum(train_log["pairs"]),
        "tokens": _sum(train_log["tokens"]),
        "mean_group_size": _mean(negatives["group_size"]),
        "mean_difficulty": _mean(group_sizes["difficulty"]),
        "hardness": hardness,
        "hard_share": _share(bands, HARD),
        "medium_share": _share(bands, MEDIUM),
        "easy_share": _share(bands, EASY),
        "new_share": _new_share(negatives, last_negatives),
        "suspects": sum(item["counts"] for item in guarded),
        "suspects_by_rule": sorted((item["values"], item["counts"]) for item in guarded),
        "unfilled_slots": unfilled,
        "violation_before": float(violations[:tenth].mean()) if len(violations) else 0.0,
        "violation_after": float(violations[-tenth:].mean()) if len(violations) else 0.0,
    }
    return pa.Table.from_pylist([row], schema=CURRICULUM)


def _bands(selection: pa.Table) -> Any:
    """The third of its query's pool that each negative comes from; unscored ones are easy."""
    decision = selection["decision"].cast(pa.string())
    pool = selection.filter(pc.not_equal(decision, "positive"))
    codes = pool["query_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    scores = pool["mining_score"].to_numpy()
    order = np.lexsort((np.nan_to_num(scores, nan=-np.inf), codes))
    counts = np.bincount(codes)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    places = np.empty(len(codes))
    places[order] = np.arange(len(codes)) - starts[codes[order]] + 0.5
    thirds = np.floor(3 * places / counts[codes]).astype(np.int64)
    bands = np.where(np.isnan(scores), EASY, thirds)
    return bands[pc.equal(pool["decision"], "negative").to_numpy()]


def _new_share(negatives: pa.Table, last: pa.Table | None) -> float | None:
    """The share of a round's negatives that the last round's did not have."""
    if last is None:
        return None
    before, now = _pairs(last), _pairs(negatives)
    known: int = now.join(before, keys=KEYS, join_type="left semi").num_rows
    count: int = now.num_rows
    return 1 - known / max(count, 1)


def _pairs(negatives: pa.Table) -> pa.Table:
    lists = negatives["negatives"].combine_chunks()
    counts = pc.list_value_length(lists).to_numpy()
    rows = pa.array(np.repeat(np.arange(negatives.num_rows), counts))
    return pa.table(
        {
            "query_id": negatives["query_id"].take(rows),
            "passage_id": lists.flatten().field("passage_id"),
        }
    )


def _sum(column: pa.ChunkedArray) -> int:
    return int(pc.sum(column).as_py() or 0)


def _mean(column: pa.ChunkedArray) -> float:
    return float(pc.mean(column).as_py() or 0.0)


def _share(bands: Any, band: int) -> float:
    return float(np.mean(bands == band)) if len(bands) else 0.0
