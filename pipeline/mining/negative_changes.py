"""What became of a round's negatives: kept, left out or joined since the last one, and the hardest.

Only queries that both rounds mined can be compared; with fresh queries in every round there are
none, and the numbers say so.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.evaluation.ranking import encode
from strop.pipeline.mining.changes import NOWHERE
from strop.pipeline.mining.pool import KEYS

COLUMNS = [*KEYS, "decision", "rule", "sampler"]
"""What is read of a selection to compare it with another one."""
Parts = Callable[[], Iterable[pa.Table]]
"""Reads a selection anew, in parts."""


@dataclass(frozen=True)
class NegativeChanges:
    """One round's negatives against the last accepted round's.

    ``same_queries`` were mined in both; ``kept``, ``joined`` and ``left`` count negatives of those.
    ``why_left`` counts those that left by what they are now (``suspect: margin``);
    ``by_sampler`` counts all of this round's negatives by what drew them.
    """

    queries: int
    same_queries: int
    negatives: int
    kept: int
    joined: int
    left: int
    why_left: dict[str, int]
    by_sampler: dict[str, int]


@dataclass(frozen=True)
class HardNegative:
    """A query whose negative stands highest above its positive, by the score that mined."""

    query_id: str
    positive_id: str
    negative_id: str
    sampler: str
    difference: float


def negative_changes(now: Parts, last: Parts | None) -> NegativeChanges:
    """Compare two ``selection`` tables; ``last`` is None where no round came before.

    In memory are their negatives, and of the others those that were negatives before.
    """
    chosen = _negatives(now())
    before = _negatives(last()) if last is not None else chosen.slice(0, 0)
    queries, old_queries = pc.unique(chosen["query_id"]), pc.unique(before["query_id"])
    same = queries.filter(pc.is_in(queries, value_set=old_queries))
    ours, theirs = (
        table.filter(pc.is_in(table["query_id"], value_set=same)) for table in (chosen, before)
    )
    gone = theirs.join(ours, keys=KEYS, join_type="left anti")
    kept = theirs.num_rows - gone.num_rows
    return NegativeChanges(
        queries=len(queries),
        same_queries=len(same),
        negatives=chosen.num_rows,
        kept=kept,
        joined=ours.num_rows - kept,
        left=gone.num_rows,
        why_left=_why(now, gone),
        by_sampler=_counts(chosen["sampler"]),
    )


def hardest_negatives(selection: pa.Table, count: int) -> list[HardNegative]:
    """The negatives that outscore their query's weakest positive by most, one a query."""
    known = selection.filter(selection["mining_score"].is_valid())
    decision = known["decision"].cast(pa.string())
    positives = _extreme(known.filter(pc.equal(decision, "positive")), "ascending")
    negatives = _extreme(known.filter(pc.equal(decision, "negative")), "descending")
    pairs = negatives.join(positives, keys="query_id", join_type="inner", right_suffix="_positive")
    margin = pc.subtract(pairs["mining_score"], pairs["mining_score_positive"])
    pairs = pairs.append_column("difference", margin)
    order = [("difference", "descending"), ("query_id", "ascending")]
    return [
        HardNegative(
            row["query_id"],
            row["passage_id_positive"],
            row["passage_id"],
            row["sampler"],
            row["difference"],
        )
        for row in pairs.sort_by(order).slice(0, count).to_pylist()
    ]


def hardest_ids(found: Sequence[HardNegative]) -> tuple[list[str], list[str]]:
    """The queries and passages that these show."""
    passages = [id_ for item in found for id_ in (item.positive_id, item.negative_id)]
    return [item.query_id for item in found], passages


def _negatives(parts: Iterable[pa.Table]) -> pa.Table:
    return pa.concat_tables(_plain(part.filter(_is_negative(part)), "sampler") for part in parts)


def _is_negative(rows: pa.Table) -> Any:
    return pc.equal(rows["decision"].cast(pa.string()), "negative")


def _plain(rows: pa.Table, *names: str) -> pa.Table:
    """Texts without dictionaries, which joins do not take."""
    every = [*KEYS, *names]
    return pa.table([rows[name].cast(pa.string()) for name in every], names=every)


def _why(now: Parts, gone: pa.Table) -> dict[str, int]:
    """What this round's selection says of negatives that left, none of which it chose."""
    if not gone.num_rows:
        return {}
    known = {name: pc.unique(gone[name]) for name in KEYS}
    others = []
    for part in now():
        asked = [pc.is_in(part[name], value_set=ids) for name, ids in known.items()]
        rows = part.filter(pc.and_(pc.and_(*asked), pc.invert(_is_negative(part))))
        others.append(_plain(rows, "decision", "rule"))
    said = pa.concat_tables(others).join(gone.select(KEYS), keys=KEYS, join_type="left semi")
    rules = pc.binary_join_element_wise(said["decision"], said["rule"], ": ")
    found = Counter(_counts(rules))
    found[NOWHERE] += gone.num_rows - said.num_rows
    return _by_count(+found)


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    found = pc.value_counts(column.combine_chunks().cast(pa.string())).to_pylist()
    return _by_count({item["values"]: item["counts"] for item in found})


def _by_count(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _extreme(rows: pa.Table, order: str) -> pa.Table:
    """Each query's first row in this order of the mining score."""
    names = ("query_id", "passage_id", "sampler")
    plain = pa.table(
        {name: rows[name].cast(pa.string()) for name in names}
        | {"mining_score": rows["mining_score"]}
    )
    ordered = plain.sort_by(
        [("query_id", "ascending"), ("mining_score", order), ("passage_id", "ascending")]
    )
    codes, _ = encode(ordered["query_id"])
    first = np.diff(codes, prepend=-1) != 0
    return ordered.filter(pa.array(first))
