"""Plots of a run as SVG text: self-contained, deterministic, readable in light and dark pages."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes

from strop.pipeline.reporting.figure import (
    COLOURS,
    MARKERS,
    RANKING_TITLES,
    legend_above,
    slug,
    svg_of,
)

MOST_NAMED = 8
"""Rounds whose names stand below an axis; of more, every second, third, … has its name."""


def rounds_plot(results: pa.Table, *, metric: str, outside: pa.Table | None = None) -> str:
    """The metric by round with 95 % intervals, for the first stage, the reranker and the fusion.

    ``results`` are `RESULTS` rows of one split, ``outside`` `OUTSIDE` rows, which stand apart at
    the right.
    """
    rows = _of_metric(results, metric)
    rounds = sorted({row["round"] for row in rows if row["ranking"] != "first_stage"} or {0})
    beside = _of_metric(outside, metric) if outside is not None else []
    names = list(dict.fromkeys(row["name"] for row in beside))
    places = {name: rounds[-1] + 1 + number for number, name in enumerate(names)}
    edges = (rounds[0] - 0.3, rounds[-1] + len(names) + 0.3)

    def draw(axes: Axes) -> None:
        for offset, ranking in ((-0.05, "reranker"), (0.05, "fused")):
            chosen = [row for row in rows if row["ranking"] == ranking]
            _series(axes, chosen, ranking=ranking, offset=offset)
            for row in beside:
                if row["ranking"] == ranking:
                    placed = {**row, "round": places[row["name"]]}
                    _series(axes, [placed], ranking=ranking, offset=offset, named=False)
        for row in rows:
            if row["ranking"] == "first_stage":
                _level(axes, row, width=edges)
        named = rounds[:: math.ceil(len(rounds) / MOST_NAMED)]
        titles = ["untuned base" if r == 0 else f"round {r}" for r in named]
        axes.set_xticks([*named, *places.values()], [*titles, *map(_wrapped, names)])
        axes.set_xlim(*edges)
        axes.set_ylabel(metric)
        legend_above(axes)

    return svg_of(draw, name="rounds", label=f"{metric} by round with 95 % intervals", height=3.7)


def histogram_plot(histogram: pa.Table, *, title: str) -> str:
    """The share of positives and of negatives by reranker score (`DIAGNOSIS_HISTOGRAM` rows)."""

    def draw(axes: Axes) -> None:
        for label, title_ in (("negative", "Other candidates"), ("positive", "Positives")):
            rows = histogram.filter(pc.equal(histogram["label"].cast(pa.string()), label))
            counts = rows["count"].to_numpy()
            shares = counts / max(counts.sum(), 1)
            edges = np.append(rows["low"].to_numpy(), rows["high"].to_numpy()[-1:])
            name = f"{title_} ({int(counts.sum()):,})"
            colour = COLOURS[label]
            axes.stairs(shares, edges, fill=True, color=colour, alpha=0.22)
            axes.stairs(shares, edges, color=colour, linewidth=2, label=name)
        axes.set_xlabel("reranker score (logit)")
        axes.set_ylabel("share of the group")
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g}%")
        axes.set_ylim(bottom=0)
        legend_above(axes)

    return svg_of(draw, name=f"scores-{slug(title)}", label=f"Scores, {title}", height=3.1)


def weight_plot(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    chosen: Mapping[str, float],
    *,
    metric: str,
    split: str,
) -> str:
    """The metric by fusion weight, one line a label, the chosen weight of each marked."""

    def draw(axes: Axes) -> None:
        shades = np.linspace(1, 0.35, max(len(curves), 1))[::-1]  # a lone line is not faint
        for (label, curve), shade in zip(curves.items(), shades, strict=True):
            weights, values = (np.array(side) for side in zip(*curve, strict=True))
            colour = COLOURS["fused"]
            best = int(np.abs(weights - chosen[label]).argmin())
            axes.plot(weights, values, color=colour, alpha=shade, linewidth=2)
            axes.plot(weights[best], values[best], "o", color=colour, alpha=shade, markersize=8)
        _label_ends(axes, {label: curve[-1] for label, curve in curves.items()})
        axes.set_xlabel("weight of the reranker (0: first stage alone, 1: reranker alone)")
        axes.set_ylabel(f"{metric} on {split}")
        axes.set_xlim(-0.02, 1.02)

    return svg_of(draw, name="weights", label=f"{metric} on {split} by fusion weight", height=3.1)


def latency_plot(
    rows: Sequence[Mapping[str, Any]], latency: Sequence[Mapping[str, Any]], *, metric: str
) -> str:
    """The metric (`DEPTHS` rows of one round) by the milliseconds that each depth takes."""
    milliseconds = {item["depth"]: item["p50_ms"] for item in latency}
    chosen = [row for row in rows if row["depth"] in milliseconds]

    def draw(axes: Axes) -> None:
        flat = next(row["value"] for row in chosen if row["ranking"] == "first_stage")
        title = RANKING_TITLES["first_stage"]
        axes.axhline(flat, color=COLOURS["first_stage"], linestyle="--", linewidth=2, label=title)
        for ranking in ("reranker", "fused"):
            line = sorted(
                (row for row in chosen if row["ranking"] == ranking), key=lambda row: row["depth"]
            )
            axes.plot(
                [milliseconds[row["depth"]] for row in line],
                [row["value"] for row in line],
                color=COLOURS[ranking],
                marker=MARKERS[ranking],
                linewidth=2,
                label=RANKING_TITLES[ranking],
            )
            for row in line if ranking == "fused" else ():
                place = (milliseconds[row["depth"]], row["value"])
                title = f"depth {row['depth']}"
                axes.annotate(title, place, xytext=(0, 8), textcoords="offset points", ha="center")
        axes.margins(0.08, 0.16)
        axes.set_xlabel("median milliseconds a query")
        axes.set_ylabel(metric)
        legend_above(axes)

    return svg_of(draw, name="latency", label=f"{metric} by milliseconds a query", height=3.3)


def reliability_plot(tables: Mapping[str, pa.Table], *, calibrated: bool) -> str:
    """The share of positives by mean probability (`RELIABILITY` rows), one line a label.

    When ``calibrated`` the first line is the plain sigmoid and the others stand out from it;
    otherwise later lines are darker.
    """

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=COLOURS["first_stage"], linestyle="--", linewidth=1.4)
        shades = np.linspace(1, 0.35, len(tables))[::-1]
        for number, (label, table) in enumerate(tables.items()):
            ranking = "fused" if calibrated and number else "reranker"
            axes.plot(
                table["mean_predicted"].to_numpy(),
                table["share_positive"].to_numpy(),
                color=COLOURS[ranking],
                marker=MARKERS[ranking],
                alpha=1 if calibrated else shades[number],
                linewidth=2,
                label=label,
            )
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("mean probability of the bin")
        axes.set_ylabel("share of positives")
        legend_above(axes)

    return svg_of(draw, name="reliability", label="Share of positives by probability", height=3.7)


def _of_metric(table: pa.Table, metric: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.filter(
        pc.equal(table["metric"].cast(pa.string()), metric)
    ).to_pylist()
    return rows


def _wrapped(name: str) -> str:
    """A long name on several lines, cut at any letter since models' names have no blanks."""
    return "\n".join(textwrap.wrap(name, 16, max_lines=3, placeholder="…"))


def _series(
    axes: Axes,
    rows: Sequence[Mapping[str, float]],
    *,
    ranking: str,
    offset: float,
    named: bool = True,
) -> None:
    if not rows:
        return
    values = np.array([row["value"] for row in rows])
    below = values - [row["ci_low"] for row in rows]
    above = [row["ci_high"] for row in rows] - values
    axes.errorbar(
        [row["round"] + offset for row in rows],
        values,
        yerr=np.maximum([below, above], 0),
        color=COLOURS[ranking],
        marker=MARKERS[ranking],
        markersize=7,
        linewidth=2,
        elinewidth=1.4,
        capsize=3,
        label=RANKING_TITLES[ranking] if named else None,
    )


def _label_ends(axes: Axes, end_by_label: Mapping[str, tuple[float, float]]) -> None:
    """Names lines at their right ends, moved up where two labels would overlap."""
    low, high = axes.get_ylim()
    height = -np.inf
    for label, (x, y) in sorted(end_by_label.items(), key=lambda item: item[1][1]):
        height = max(y, height + 0.075 * (high - low))
        axes.annotate(
            label,
            (x, height),
            xytext=(9, 0),
            textcoords="offset points",
            verticalalignment="center",
            annotation_clip=False,
        )


def _level(axes: Axes, row: Mapping[str, float], *, width: tuple[float, float]) -> None:
    colour = COLOURS["first_stage"]
    axes.fill_between(
        width, [row["ci_low"]] * 2, [row["ci_high"]] * 2, color=colour, alpha=0.13, linewidth=0
    )
    title = RANKING_TITLES["first_stage"]
    axes.plot(width, [row["value"]] * 2, color=colour, linewidth=2, linestyle="--", label=title)
