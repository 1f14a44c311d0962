"""The parts of a report that say where the quality comes from, and what it costs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from strop.pipeline.errors import counted
from strop.pipeline.evaluation.slices import MISSED
from strop.pipeline.reporting.blocks import Block, Grid, Heading, Paragraph, Picture
from strop.pipeline.reporting.figure import RANKING_TITLES
from strop.pipeline.reporting.plots import latency_plot

Rows = Sequence[Mapping[str, Any]]
SHORT_TITLES = {"first_stage": "first stage", "reranker": "alone", "fused": "fused"}
MIN_QUERIES = 10
"""A slice of fewer queries is in the table, but is not named among the worst."""
WORST = 3


@dataclass(frozen=True)
class Breakdown:
    """The tables of a ``breakdown``, for one round, and the latency at each depth.

    ``latency`` are mappings with ``depth``, ``queries``, ``pairs_per_second``, ``p50_ms`` and
    ``p95_ms``; ``timed_on`` says where and when.
    """

    round: int
    depths: pa.Table
    slices: pa.Table
    power: pa.Table
    latency: Rows = ()
    timed_on: str = ""


def breakdown_blocks(data: Breakdown, *, metric: str, pictures: bool) -> list[Block]:
    """Quality by depth with its latency, slices, and what each split can show."""
    return [
        *_depths(data, metric=metric, pictures=pictures),
        *_slices(data),
        *_power(data.power.to_pylist()),
    ]


def worst_slices(rows: Rows) -> str:
    """The slices with the largest losses or smallest gains, each with its count and interval."""
    named = [row for row in rows if row["n"] >= MIN_QUERIES and row["slice"] != MISSED]
    worst = sorted(named, key=lambda row: row["difference"])[:WORST]
    if not worst:
        return f"No slice has {MIN_QUERIES} queries."
    texts = [f"{row['by']} {row['slice']} (n = {row['n']:,}): {_change(row)}" for row in worst]
    return f"Worst slices against the first stage: {'; '.join(texts)}."


def _depths(data: Breakdown, *, metric: str, pictures: bool) -> list[Block]:
    rows = [
        row
        for row in data.depths.to_pylist()
        if row["round"] == data.round or row["ranking"] == "first_stage"
    ]
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    latency = {item["depth"]: item for item in data.latency}
    cells: dict[tuple[int, str], dict[str, float]] = {}
    for row in rows:
        cells.setdefault((row["depth"], row["ranking"]), {})[row["metric"]] = row["value"]
    lines = [
        [
            f"{depth:,}",
            SHORT_TITLES[ranking],
            *(f"{values[name]:.3f}" for name in metrics),
            *_times(latency.get(depth), ranking),
        ]
        for (depth, ranking), values in sorted(cells.items(), key=_by_depth)
    ]
    times = ("p50 ms", "p95 ms", "pairs/s") if latency else ()
    grid = Grid(("depth", "ranking", *metrics, *times), lines, num_text_columns=2)
    scored = any(row["ranking"] != "first_stage" for row in rows)
    ranked = _title(data) if scored else "The first stage, since the base has a fresh head,"
    note = f"{ranked} on {rows[0]['split']}, had only the first candidates been reranked."
    note += " A positive that the first stage missed counts as a miss at every depth."
    blocks: list[Block] = [Heading("Quality by depth"), grid, Paragraph(note, "note")]
    if latency:
        blocks.append(Paragraph(_timing_note(data), "note"))
    if latency and scored and pictures:
        mine = [row for row in rows if row["metric"] == metric]
        caption = f"{metric} against the median time that a query waits for the reranker."
        blocks.append(Picture(latency_plot(mine, data.latency, metric=metric), caption))
    return blocks


def _title(data: Breakdown) -> str:
    return "The untuned base" if data.round == 0 else f"Round {data.round}"


def _by_depth(item: tuple[tuple[int, str], Any]) -> tuple[int, int]:
    (depth, ranking), _ = item
    return depth, list(RANKING_TITLES).index(ranking)


def _times(item: Mapping[str, Any] | None, ranking: str) -> list[str]:
    if item is None:
        return []
    if ranking == "first_stage":
        return ["", "", ""]
    return [f"{item['p50_ms']:.1f}", f"{item['p95_ms']:.1f}", f"{item['pairs_per_second']:,.0f}"]


def _timing_note(data: Breakdown) -> str:
    queries = counted(data.latency[0]["queries"], "dev queries")
    return (
        f"Latency: {queries} one by one on {data.timed_on}; the"
        " reranker alone, from cached tokens, without tokenizing the query and without retrieval."
        " It is a fact of that machine and moment, and no artifact's id depends on it."
    )


def _slices(data: Breakdown) -> list[Block]:
    rows = [row for row in data.slices.to_pylist() if row["round"] == data.round]
    if not rows:
        return []
    first = rows[0]
    lines = [
        [
            row["by"],
            row["slice"],
            f"{row['n']:,}",
            f"{row['first_stage_value']:.3f}",
            f"{row['value']:.3f}",
            _change(row),
        ]
        for row in rows
    ]
    ranking = RANKING_TITLES[first["ranking"]].lower()
    columns = ("slice by", "queries", "n", "first stage", ranking, "change [95\u00a0%]")
    note = (
        f"{_title(data)}: {first['metric']} on {first['split']}. Difficulty is the share"
        " of the other candidates that the first stage scores near the best positive or above it."
        " Many slices are looked at, so that some stand out by chance."
    )
    return [
        Heading("Slices"),
        Paragraph(worst_slices(rows)),
        Grid(columns, lines, num_text_columns=2),
        Paragraph(note, "note"),
    ]


def _power(rows: Rows) -> list[Block]:
    lines = [
        [
            row["split"],
            f"{row['n']:,}",
            f"{row['num_clusters']:,} groups" if row["num_clusters"] < row["n"] else "queries",
            _gain(row["smallest_detectable"]),
        ]
        for row in rows
    ]
    note = (
        "The true gain over the first stage that a two-sided test at 5\u00a0% finds in four of five"
        " trials, from the spread of the last round's measured differences (unknown where no query"
        " differs, or there is only one); a smaller one is likely to be missed. Drawn are the units"
        " of intervals and tests: groups of queries (group_id) where there are at least 20, else"
        " single queries."
    )
    grid = Grid(("split", "queries", "drawn", f"smallest gain in {rows[0]['metric']}"), lines)
    return [Heading("What each split can show"), grid, Paragraph(note, "note")]


def _gain(smallest: float) -> str:
    return f"{smallest:.3f}" if smallest and math.isfinite(smallest) else "unknown"


def _change(row: Mapping[str, Any]) -> str:
    return f"{row['difference']:+.3f} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"
