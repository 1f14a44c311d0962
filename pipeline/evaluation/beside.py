"""Measured rankings beside each other: every one against the first, on the same queries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.ranking import RANK_COLUMNS
from strop.pipeline.evaluation.results import MetricValues, compare, metric_values
from strop.pipeline.evaluation.significance import holm


@dataclass(frozen=True)
class Measured:
    """A name and its ``metrics.per_query`` table."""

    name: str
    per_query: pa.Table


@dataclass(frozen=True)
class Beside:
    """One ranking's mean, and its change against the first one's ranking of the same kind.

    The first one has no change; ``adjusted_p_value`` holds for all changes of the table together.
    """

    name: str
    ranking: str
    split: str
    metric: str
    n: int
    value: float
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None


def beside(
    sides: Sequence[Measured], *, split: str, metric: str | None, seed: int, samples: int
) -> list[Beside]:
    """A row a name and kind of ranking; the first stage alone where it is not the same for all.

    ``metric`` is a name as tables show it; None takes the first one that all have. Raises
    `InputError` when they have no metric, or not the same queries, in common.
    """
    chosen = _metric(sides, metric)
    rows = []
    for ranking in RANK_COLUMNS:
        values = [
            metric_values(side.per_query, split=split, ranking=ranking, metric=chosen)
            for side in sides
        ]
        found = [
            Beside(side.name, ranking, split, chosen, len(mine.values), float(mine.values.mean()))
            for side, mine in zip(sides, values, strict=True)
        ]
        found[1:] = [
            _against(row, mine, values[0], seed=seed, samples=samples)
            for row, mine in zip(found[1:], values[1:], strict=True)
        ]
        if ranking != "first_stage" or any(row.difference for row in found):
            rows += found
    return _adjusted(rows)


def _metric(sides: Sequence[Measured], asked: str | None) -> str:
    names = [side.per_query["metric"].unique().cast(pa.string()).to_pylist() for side in sides]
    common = [name for name in names[0] if all(name in others for others in names)]
    chosen = asked or next(iter(common), None)
    if chosen is None or chosen not in common:
        wanted = f"metric {asked!r}: was not measured for all" if asked else "no metric in common"
        raise InputError(f"{wanted}; all have {', '.join(common) or 'none'}")
    return str(chosen)


def _against(
    row: Beside, mine: MetricValues, first: MetricValues, *, seed: int, samples: int
) -> Beside:
    found = compare(mine, first, seed=seed, samples=samples)
    return replace(
        row,
        difference=found.difference,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        p_value=found.p_value,
    )


def _adjusted(rows: list[Beside]) -> list[Beside]:
    p_values = [row.p_value for row in rows if row.p_value is not None]
    adjusted = iter(holm(p_values))
    return [
        row if row.p_value is None else replace(row, adjusted_p_value=next(adjusted))
        for row in rows
    ]
