"""What another choice of negatives changes: two selections of the same round beside each other."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.mining.pool import KEYS

NOWHERE = "absent"
"""The decision of a row that one of the selections does not have."""


@dataclass(frozen=True)
class Changes:
    """Rows by decision and rule in each selection, and the rows whose decision or rule moved.

    ``moved`` has query_id, passage_id, mining_score, before and after (``decision: rule``), sorted
    by query and falling score; ``kept_negatives`` is the share of the negatives that stay.
    """

    before: dict[str, int]
    after: dict[str, int]
    moved: pa.Table
    kept_negatives: float


def selection_changes(before: pa.Table, after: pa.Table) -> Changes:
    """Compare two ``selection`` tables."""
    old, new = _labelled(before, "before"), _labelled(after, "after")
    joined = old.join(new, keys=KEYS, join_type="full outer", right_suffix="_after")
    score = pc.coalesce(joined["mining_score_after"], joined["mining_score"])
    rows = pa.table(
        {
            **{key: joined[key] for key in KEYS},
            "mining_score": score,
            "before": pc.fill_null(joined["before"], NOWHERE),
            "after": pc.fill_null(joined["after"], NOWHERE),
        }
    )
    moved = rows.filter(pc.not_equal(rows["before"], rows["after"]))
    order = [("query_id", "ascending"), ("mining_score", "descending"), ("passage_id", "ascending")]
    return Changes(_counts(old["before"]), _counts(new["after"]), moved.sort_by(order), _kept(rows))


def _labelled(selection: pa.Table, name: str) -> pa.Table:
    label = pc.binary_join_element_wise(
        selection["decision"].cast(pa.string()), selection["rule"].cast(pa.string()), ": "
    )
    return selection.select([*KEYS, "mining_score"]).append_column(name, label)


def _counts(labels: Any) -> dict[str, int]:
    found = pc.value_counts(labels).to_pylist()
    return {item["values"]: item["counts"] for item in sorted(found, key=lambda i: i["values"])}


def _kept(rows: pa.Table) -> float:
    was, now = (pc.starts_with(rows[name], "negative") for name in ("before", "after"))
    total = pc.sum(was).as_py() or 0
    return (pc.sum(pc.and_(was, now)).as_py() or 0) / total if total else 0.0
