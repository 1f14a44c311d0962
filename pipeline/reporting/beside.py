"""The figure of compared rankings: every value and every change with its interval, a line each."""

import io
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from strop.pipeline.errors import counted
from strop.pipeline.reporting.blocks import Block, Grid, Heading, Paragraph, Picture, page
from strop.pipeline.reporting.figure import (
    COLOURS,
    MARKERS,
    RANKING_TITLES,
    SETTINGS,
    embeddable,
)

Row = Mapping[str, Any]

GROUP_TITLES = {**RANKING_TITLES, "run": "Runs as they are"}
GROUP_COLOURS = {**COLOURS, "run": COLOURS["ink"]}
GROUP_MARKERS = {**MARKERS, "run": "D"}
LONGEST_NAME = 40
WIDTH, LINE_HEIGHT, FRAME_HEIGHT = 9.6, 0.31, 1.15
"""Inches."""
DPI = 150


def beside_picture(rows: Sequence[Row], suffix: str) -> bytes:
    """The compared rankings (`Beside` rows as mappings) as an ``.svg``, ``.png`` or ``.html``."""
    return RENDERERS[suffix](rows)


def _draw(rows: Sequence[Row]) -> Figure:
    groups = [(kind, list(found)) for kind, found in groupby(rows, lambda row: row["ranking"])]
    lines = len(rows) + len(groups)
    size = (WIDTH, FRAME_HEIGHT + LINE_HEIGHT * lines)
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=size, dpi=DPI, layout=layout, facecolor="white")
    values, changes = figure.subplots(1, 2, sharey=True, width_ratios=(1.15, 1))
    place, labels = 0, []
    for kind, found in groups:
        labels.append((place, GROUP_TITLES[kind], True))
        for row in found:
            place += 1
            labels.append((place, _short(row["name"]), False))
            _interval(values, place, row, ("value", "value_low", "value_high"), "{:.3f}")
            _interval(changes, place, row, ("difference", "ci_low", "ci_high"), "{:+.3f}")
        place += 1
    _name_lines(values, labels)
    values.set_ylim(lines - 0.4, -0.6)
    first = rows[0]
    queries = counted(first["n"], f"{first['split']} queries")
    values.set_title(f"{first['metric']}, {queries}")
    changes.axvline(0, color=COLOURS["first_stage"], linewidth=1.2, zorder=0)
    changes.set_title(f"change against {_short(first['name'])}")
    for axes in (values, changes):
        axes.margins(x=0.12)
        axes.set_xlabel("with 95 % interval")
    return figure


def _interval(axes: Axes, place: int, row: Row, keys: tuple[str, str, str], template: str) -> None:
    """One value with its interval and its number above it; nothing for the row that is first."""
    value, low, high = (row[key] for key in keys)
    if value is None:
        return
    kind = row["ranking"]
    axes.errorbar(
        value,
        place,
        xerr=[[max(value - low, 0)], [max(high - value, 0)]],
        color=GROUP_COLOURS[kind],
        marker=GROUP_MARKERS[kind],
        markersize=6,
        elinewidth=1.6,
        capsize=3,
    )
    axes.annotate(
        template.format(value).replace("-", "−"),
        (max(high, value), place),
        xytext=(7, 0),
        textcoords="offset points",
        verticalalignment="center",
        fontsize=9.5,
    )


def _name_lines(axes: Axes, labels: Sequence[tuple[int, str, bool]]) -> None:
    axes.set_yticks([place for place, _, _ in labels], [text for _, text, _ in labels])
    for label, (_, _, is_heading) in zip(axes.get_yticklabels(), labels, strict=True):
        label.set_fontweight("bold" if is_heading else "normal")
    axes.tick_params(axis="y", pad=8)


def _short(name: str) -> str:
    """A name that leaves room for the figure: the end of a long path."""
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"


def _settings(**changes: str) -> dict[str, Any]:
    return {**SETTINGS, "axes.grid.axis": "x", **changes}


def _svg(rows: Sequence[Row], *, font_type: str) -> str:
    with mpl.rc_context(_settings(**{"svg.fonttype": font_type})):
        figure, buffer = _draw(rows), io.StringIO()
        if font_type == "none":
            figure.patch.set_alpha(0)
            for axes in figure.axes:
                axes.patch.set_alpha(0)
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _svg_file(rows: Sequence[Row]) -> bytes:
    """A picture that looks the same whatever fonts there are: letters are drawn as outlines."""
    return _svg(rows, font_type="path").encode()


def _png_file(rows: Sequence[Row]) -> bytes:
    with mpl.rc_context(_settings()):
        buffer = io.BytesIO()
        FigureCanvasAgg(_draw(rows)).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _html_file(rows: Sequence[Row]) -> bytes:
    first = rows[0]
    title = f"{first['metric']} on {first['split']}"
    svg = embeddable(_svg(rows, font_type="none"), name="beside", label=title)
    caption = f"Every ranking's {first['metric']}, and its change against {first['name']}."
    note = (
        f"{counted(first['n'], 'queries')}. Intervals are bootstrap, p-values come from a "
        "two-sided paired randomization test, Holm's hold for all rows together."
    )
    columns = ("", "ranking", first["metric"], "change [95\u00a0%]", "p", "p, Holm")
    grid = Grid(columns, [_cells(row) for row in rows], num_text_columns=2)
    blocks: list[Block] = [Heading(title, 1), Picture(svg, caption), grid, Paragraph(note, "note")]
    return page(title, blocks).encode()


def _cells(row: Row) -> list[str]:
    kind = {"reranker": "alone", "fused": "fused", "run": "as it is"}.get(row["ranking"], "")
    start = [row["name"], kind, f"{row['value']:.3f}"]
    if row["difference"] is None:
        return [*start, "", "", ""]
    change = f"{row['difference']:+.3f} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"
    p_values = (row["p_value"], row["adjusted_p_value"])
    return [*start, change, *("< 0.001" if p < 0.001 else f"{p:.3f}" for p in p_values)]


RENDERERS: dict[str, Callable[[Sequence[Row]], bytes]] = {
    ".svg": _svg_file,
    ".png": _png_file,
    ".html": _html_file,
}
