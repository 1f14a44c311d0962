"""The one figure style of all plots, and SVG text that a page can embed."""

import io
import re
from collections.abc import Callable, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

RANKING_TITLES = {
    "first_stage": "First stage",
    "reranker": "Reranker alone",
    "fused": "Fused with the first stage",
}
# Okabe and Ito's palette, told apart with any colour vision; a page may override the variables.
COLOURS = {
    "first_stage": "#56606b",
    "reranker": "#d55e00",
    "fused": "#0072b2",
    "positive": "#0072b3",
    "negative": "#d55e01",
    "ink": "#1f2834",
    "faint": "#d9dee5",
}
MOST = 12
"""Rounds that one figure, or one page, draws: more would be neither legible nor small."""
MARKERS = {"first_stage": "s", "reranker": "^", "fused": "o"}
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "strop",
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.parse_math": False,  # names of files and models may have dollar signs
    "text.color": COLOURS["ink"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.edgecolor": COLOURS["faint"],
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlepad": 12,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": COLOURS["faint"],
    "xtick.color": COLOURS["faint"],
    "ytick.color": COLOURS["faint"],
    "xtick.labelcolor": COLOURS["ink"],
    "ytick.labelcolor": COLOURS["ink"],
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
}


def first_and_last(items: Sequence[str]) -> list[str]:
    """What is drawn of many rounds: all, or the first and the last ones."""
    return list(items) if len(items) <= MOST else [items[0], *items[1 - MOST :]]


def legend_above(axes: Axes) -> None:
    """Name the lines above the axes, where they hide nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, handlelength=1.6)


def svg_of(draw: Callable[[Axes], None], *, name: str, label: str, height: float) -> str:
    """The drawn figure as one ``<svg>`` element, ``height`` inches at a width of 7.2."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(7.2, height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        draw(axes)
        # Two equal runs draw equal bytes: the hash salt fixes the ids, and no date is written.
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    return embeddable(buffer.getvalue(), name=name, label=label)


def embeddable(svg: str, *, name: str, label: str) -> str:
    """One ``<svg>`` element with ids of its own, colours as CSS variables and the page's font."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="', f' id="{name}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{name}-", svg)
    svg = svg.replace("'DejaVu Sans'", FONTS)
    for colour_name, colour in COLOURS.items():
        variable = f"var(--{colour_name.replace('_', '-')}, {colour})"
        svg = svg.replace(colour, variable)
    opening, rest = svg.split(">", 1)
    opening = re.sub(r'(width|height)="[\d.]+pt" ?', "", opening)
    title = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return f'{opening} role="img" aria-label="{title}">{rest}\n'


def slug(text: str) -> str:
    """The text as part of an id."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
