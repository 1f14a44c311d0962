"""Measured rankings beside each other: every one against the first, on the same queries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.results import MetricValues, compare, has_scores, metric_values
from strop.pipeline.evaluation.significance import bootstrap_interval, cluster_codes, holm
from strop.pipeline.seeds import generator

KINDS = ("reranker", "fused")
"""The rankings of a round; the first stage's is the same for all, whose candidates are."""
RUN = "run"
"""The kind of ranking that a run from outside has."""


@dataclass(frozen=True)
class Measured:
    """A name and its ``metrics.per_query`` table.

    A run from outside has no rankings but the one of its file, which the table calls
    ``reranker``.
    """

    name: str
    per_query: pa.Table

    @property
    def is_run(self) -> bool:
        """Whether this is a run from outside."""
        kinds = set(self.per_query["ranking"].cast(pa.string()).unique().to_pylist())
        return kinds == {"reranker"}


@dataclass(frozen=True)
class Beside:
    """One ranking's mean with its interval, and its change against the first one's ranking.

    That is the first one's of the same kind; for a run from outside, whose ``ranking`` is `RUN`,
    it is the fused one, since both are what would be shown to people, and so it is for all where
    the first one has a fresh head, which is not ranked alone. The first one has no change;
    ``adjusted_p_value`` holds for all changes of the table together.
    """

    name: str
    ranking: str
    split: str
    metric: str
    n: int
    value: float
    value_low: float
    value_high: float
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None


def beside(
    sides: Sequence[Measured], *, split: str, metric: str | None, seed: int, samples: int
) -> list[Beside]:
    """A row a name and kind of ranking, of rankings of the same candidates.

    ``metric`` is a name as tables show it; None takes the first one that all have. Raises
    `InputError` when they have no metric, or not the same queries, in common.
    """
    chosen = _metric(sides, metric)
    draws = Draws(split, chosen, seed, samples)
    systems = [side for side in sides if not side.is_run]
    rows = []
    for ranking in KINDS if has_scores(sides[0].per_query) else reversed(KINDS):
        rows += draws.rows(systems, ranking)
    runs = [side for side in sides if side.is_run]
    first = draws.values(sides[0], "fused") if runs else None
    for side in runs:
        values = draws.values(side, "reranker")
        rows.append(draws.row(side.name, RUN, values, first))
    return _adjusted(rows)


@dataclass(frozen=True)
class Draws:
    """What all rows of a table are drawn from."""

    split: str
    metric: str
    seed: int
    samples: int

    def values(self, side: Measured, ranking: str) -> MetricValues:
        """The metric of one side's ranking, by query."""
        return metric_values(side.per_query, split=self.split, ranking=ranking, metric=self.metric)

    def rows(self, sides: Sequence[Measured], ranking: str) -> list[Beside]:
        """One kind of ranking of every side that has it, against the first one's."""
        kind = ranking if has_scores(sides[0].per_query) else "fused"
        first = self.values(sides[0], kind)
        return [
            self.row(side.name, ranking, self.values(side, ranking), first if number else None)
            for number, side in enumerate(sides)
            if ranking == "fused" or has_scores(side.per_query)
        ]

    def row(
        self, name: str, ranking: str, mine: MetricValues, first: MetricValues | None
    ) -> Beside:
        """The row of these values, with their change against the first one's, if there is one."""
        found = compare(mine, first, seed=self.seed, samples=self.samples) if first else None
        low, high = bootstrap_interval(
            mine.values,
            cluster_codes(mine.group_ids),
            rng=generator(self.seed, "bootstrap"),
            samples=self.samples,
        )
        row = Beside(
            name, ranking, self.split, self.metric, len(mine.values),
            float(mine.values.mean()), low, high,
        )  # fmt: skip
        if found is None:
            return row
        return replace(
            row,
            difference=found.difference,
            ci_low=found.ci_low,
            ci_high=found.ci_high,
            p_value=found.p_value,
        )


def _metric(sides: Sequence[Measured], asked: str | None) -> str:
    names = [side.per_query["metric"].unique().cast(pa.string()).to_pylist() for side in sides]
    common = [name for name in names[0] if all(name in others for others in names)]
    chosen = asked or next(iter(common), None)
    if chosen is None or chosen not in common:
        wanted = f"metric {asked!r}: was not measured for all" if asked else "no metric in common"
        raise InputError(f"{wanted}; all have {', '.join(common) or 'none'}")
    return str(chosen)


def _adjusted(rows: list[Beside]) -> list[Beside]:
    p_values = [row.p_value for row in rows if row.p_value is not None]
    adjusted = iter(holm(p_values))
    return [
        row if row.p_value is None else replace(row, adjusted_p_value=next(adjusted))
        for row in rows
    ]
