"""Comparisons between evaluated rankings, and the table of results over the rounds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import OUTSIDE, POWER, RESULTS
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.metrics import summarise
from strop.pipeline.evaluation.ranking import RANK_COLUMNS, FloatArray
from strop.pipeline.evaluation.significance import (
    Comparison,
    cluster_codes,
    holm,
    paired_comparison,
)

FIRST_STAGE, OF_RERANKER = "first_stage", ("reranker", "fused")


@dataclass(frozen=True)
class MetricValues:
    """One metric of one ranking: one value a query, with the query's id and group."""

    query_ids: pa.ChunkedArray
    group_ids: pa.ChunkedArray
    values: FloatArray


def metric_values(per_query: pa.Table, *, split: str, ranking: str, metric: str) -> MetricValues:
    """The values of one metric out of a ``metrics.per_query`` table."""
    chosen = per_query
    for name, wanted in (("split", split), ("ranking", ranking), ("metric", metric)):
        chosen = chosen.filter(pc.equal(chosen[name].cast(pa.string()), wanted))
    if len(chosen) == 0:
        raise InputError(f"no value of {metric} on {split} for the ranking {ranking!r}")
    if pc.count_distinct(chosen["query_id"]).as_py() != len(chosen):
        raise InputError(f"{metric} on {split} has several values a query; choose one depth")
    return MetricValues(chosen["query_id"], chosen["group_id"], chosen["value"].to_numpy())


def compare(
    challenger: MetricValues, opponent: MetricValues, *, seed: int, samples: int = 10_000
) -> Comparison:
    """The paired comparison of two rankings that were evaluated on the same queries."""
    return paired_comparison(
        challenger.values,
        values_beside(challenger, opponent),
        cluster_codes(challenger.group_ids),
        seed=seed,
        samples=samples,
    )


def values_beside(challenger: MetricValues, opponent: MetricValues) -> FloatArray:
    """The opponent's values in the challenger's order of queries, of which both have the same."""
    position = pc.index_in(challenger.query_ids, value_set=opponent.query_ids)
    if position.null_count or len(challenger.values) != len(opponent.values):
        raise InputError(
            f"the rankings were evaluated on different queries ({len(challenger.values):,} and"
            f" {len(opponent.values):,}); evaluate both on the same split of the same data set"
        )
    values: FloatArray = opponent.values[np.asarray(position)]
    return values


@dataclass(frozen=True)
class Outsider:
    """A reranker that is none of the run's: its name, what it is to the run, and its metrics."""

    name: str
    role: str
    per_query: pa.Table


def results_table(
    per_query_by_round: Mapping[int, pa.Table], *, split: str, seed: int, samples: int = 10_000
) -> pa.Table:
    """``RESULTS`` rows: every metric of every round's rankings, against the first stage.

    The table of round 0 holds the first stage, and the untuned base where that has scored anything.
    The first stage appears once, as round 0, and has no difference from itself; its rows in later
    rounds are left out, and so is round 0's fused ranking where it is nothing else. The
    adjusted p-values of a metric hold for all its comparisons together.
    """
    return results_tables(per_query_by_round, (), split=split, seed=seed, samples=samples)[0]


def results_tables(
    per_query_by_round: Mapping[int, pa.Table],
    outsiders: Sequence[Outsider],
    *,
    split: str,
    seed: int,
    samples: int = 10_000,
) -> tuple[pa.Table, pa.Table]:
    """The `results_table` of a run, and ``OUTSIDE`` rows of the rerankers beside it.

    The adjusted p-values of a metric hold for the comparisons of both tables together.
    """
    first_stage = per_query_by_round[0]
    measure = partial(_rows, first_stage, split=split, seed=seed, samples=samples)
    ours = [
        {"round": round_, **row}
        for round_, per_query in sorted(per_query_by_round.items())
        for row in measure(per_query)
        if row["ranking"] in _shown(round_, per_query)
    ]
    others = [
        {"name": other.name, "role": other.role, **row}
        for other in outsiders
        for row in measure(other.per_query)
        if row["ranking"] != "first_stage"
    ]
    _adjust(ours + others)
    return (
        pa.Table.from_pylist(ours, schema=RESULTS),
        pa.Table.from_pylist(others, schema=OUTSIDE),
    )


def _shown(round_: int, per_query: pa.Table) -> tuple[str, ...]:
    """The rankings that a round has rows of."""
    if round_:
        return OF_RERANKER
    return (FIRST_STAGE, *OF_RERANKER) if has_scores(per_query) else (FIRST_STAGE,)


def has_scores(per_query: pa.Table) -> bool:
    """Whether a ``metrics.per_query`` table is of a ranking that a reranker has scored."""
    return "reranker" in pc.unique(per_query["ranking"].cast(pa.string())).to_pylist()


def _rows(
    first_stage: pa.Table, per_query: pa.Table, *, split: str, seed: int, samples: int
) -> list[dict[str, Any]]:
    """The metrics of every ranking, all but the first stage's with their change against that."""
    chosen = per_query.filter(pc.equal(per_query["split"].cast(pa.string()), split))
    rows = summarise(chosen, seed=seed, samples=samples).to_pylist()
    for row in rows:
        if row["ranking"] != "first_stage":
            row |= _change(row, per_query, first_stage, seed=seed, samples=samples)
    return sorted(rows, key=lambda row: list(RANK_COLUMNS).index(row["ranking"]))


def _adjust(rows: list[dict[str, Any]]) -> None:
    """Fill in Holm's p-values over the comparisons of each metric."""
    for metric in {row["metric"] for row in rows}:
        compared = [row for row in rows if row["metric"] == metric and "p_value" in row]
        adjusted = holm([row["p_value"] for row in compared])
        for row, value in zip(compared, adjusted, strict=True):
            row["adjusted_p_value"] = value


def _change(
    row: Mapping[str, str],
    per_query: pa.Table,
    first_stage: pa.Table,
    *,
    seed: int,
    samples: int,
) -> dict[str, float]:
    split, metric = row["split"], row["metric"]
    mine = metric_values(per_query, split=split, ranking=row["ranking"], metric=metric)
    before = metric_values(first_stage, split=split, ranking="first_stage", metric=metric)
    comparison = compare(mine, before, seed=seed, samples=samples)
    return {
        "difference": comparison.difference,
        "difference_ci_low": comparison.ci_low,
        "difference_ci_high": comparison.ci_high,
        "p_value": comparison.p_value,
    }


def power_table(
    per_query_by_split: Mapping[str, pa.Table], *, metric: str, seed: int, samples: int
) -> pa.Table:
    """``POWER`` rows: the smallest gain over the first stage that each split would show.

    Infinite for a split of one query, in which no gain shows.
    """
    rows = []
    for split, per_query in per_query_by_split.items():
        sides = [
            metric_values(per_query, split=split, ranking=ranking, metric=metric)
            for ranking in ("fused", "first_stage")
        ]
        found = compare(sides[0], sides[1], seed=seed, samples=samples)
        rows.append(
            {
                "split": split,
                "metric": metric,
                "n": found.n,
                "num_clusters": found.num_clusters,
                "smallest_detectable": found.smallest_detectable,
            }
        )
    return pa.Table.from_pylist(rows, schema=POWER)


def smallest_gains(power: pa.Table) -> dict[str, float]:
    """The smallest gain that each split of ``POWER`` rows shows; none of a split without one."""
    return {
        row["split"]: float(row["smallest_detectable"])
        for row in power.to_pylist()
        if math.isfinite(row["smallest_detectable"])
    }
