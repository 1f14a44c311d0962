"""The tables and the plot of `growth.py`."""

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from benchmarks.speed.results import processor

Size = tuple[int, int]
Stages = Mapping[Size, Mapping[str, Mapping[str, float]]]


def circumstances(*packages: str) -> list[str]:
    """Date, machine and versions, as lines of a list."""
    named = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return [
        f"- Date: {datetime.date.today().isoformat()}; Python {platform.python_version()}, {named}",
        f"- Machine: {processor()}, {os.cpu_count()} cores; load average at the end "
        f"{os.getloadavg()[2]:.1f} (of 15 minutes)",
        "- One thread; a random bi-encoder of one layer and 384 dimensions, a random reranker of "
        "two layers; passages of 12 words, queries of 4; 30 candidates a query scored",
    ]


def stage_page(stages: Stages) -> str:
    """CPU seconds and peak memory of every stage by size."""
    sizes = list(stages)
    names = shown(stages)
    titles = [f"{passages:,} × {queries:,}" for passages, queries in sizes]
    lines = [
        "# Growth of time and memory by stage",
        "",
        "- Command: `python -m benchmarks.growth`",
        *circumstances("faiss-cpu", "pyarrow", "torch", "transformers"),
        "- Columns are passages × queries; all stages run in one process, of which loaded "
        "libraries and models take 550 to 740 MB; a peak is the most it had in a stage",
        "",
    ]
    for key, title in (("seconds", "CPU seconds"), ("peak_mb", "Peak memory, MB")):
        lines += [f"## {title}", "", f"| stage | {' | '.join(titles)} |"]
        lines += ["|---|" + "---:|" * len(sizes)]
        for name in names:
            cells = [
                f"{stages[size][name][key]:,.{1 if key == 'seconds' else 0}f}" for size in sizes
            ]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def shown(stages: Stages) -> list[str]:
    """The stages that are told of; `import_scale.py` measures imports."""
    return [name for name in next(iter(stages.values())) if not name.startswith("import")]


def memory_page(stages: Stages, peers: Mapping[str, Stages]) -> str:
    """The most memory that mining took, strop's beside the peers'."""
    lines = [
        "# Peak memory of mining",
        "",
        "- Command: `python -m benchmarks.growth --peers PYTHON --scripts FLAGEMBEDDING/scripts`",
        *circumstances("faiss-cpu", "sentence-transformers", "torch", "transformers"),
        "- strop: the largest peak of all stages from encoding on, in one process; the peers: of "
        "the process that mines, for FlagEmbedding the larger of its two scripts'",
        "",
        "| side | passages | CPU seconds | peak, MB | ratio |",
        "|---|---:|---:|---:|---:|",
    ]
    for size in next(iter(peers.values())):
        mined = {name: stages[size][name] for name in shown(stages)}
        ours = max(cost["peak_mb"] for cost in mined.values())
        seconds = sum(cost["seconds"] for cost in mined.values())
        lines.append(f"| strop | {size[0]:,} | {seconds:,.0f} | {ours:,.0f} | – |")
        for side, measured in peers.items():
            cost = measured[size]["whole"]
            lines.append(
                f"| {side} | {size[0]:,} | {cost['seconds']:,.0f} | {cost['peak_mb']:,.0f} | "
                f"{cost['peak_mb'] / ours:.2f} |"
            )
    return "\n".join(lines) + "\n"


def plot(stages: Stages, path: Path) -> None:
    """Time and memory over passages and over queries, both axes logarithmic."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    FigureCanvasSVG(figure)
    panels: Any = figure.subplots(2, 2)
    sizes = list(stages)
    for column, (place, title) in enumerate(((0, "passages"), (1, "queries"))):
        other = _commonest([size[1 - place] for size in sizes])
        chosen = sorted({size for size in sizes if size[1 - place] == other})
        if len(chosen) > 1:
            for row, (key, unit) in enumerate((("seconds", "CPU seconds"), ("peak_mb", "peak MB"))):
                _lines(panels[row][column], stages, chosen, place, key)
                panels[row][column].set(xlabel=title, ylabel=unit)
    panels[0][0].legend(fontsize=7, ncols=2)
    figure.savefig(path, metadata={"Date": None})


def _lines(axes: Axes, stages: Stages, sizes: list[Size], place: int, key: str) -> None:
    across = [size[place] for size in sizes]
    for name in shown(stages):
        values = [max(stages[size][name][key], 0.01) for size in sizes]
        axes.loglog(across, values, marker="o", label=name, linewidth=1)
    if key == "seconds":
        axes.loglog(across, [size / across[0] for size in across], "k:", label="as the work")
    else:
        axes.set_ylim(100, 10_000)


def _commonest(values: list[int]) -> int:
    return max(set(values), key=values.count)
