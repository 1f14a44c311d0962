"""`strop compare`: rounds of any runs and rankings from outside, beside each other."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from strop.artifacts.store import Store
from strop.cli.options import STORE, JsonOption, StoreOption, existing_store
from strop.cli.output import console, print_json
from strop.pipeline.errors import InputError, counted

NAMES = {"reranker": "alone", "fused": "fused", "run": "as it is"}
LONGEST = 40
"""Characters of a name in the table."""
WIDE = 72
"""Columns that the whole table takes, with names of some 15 characters."""

NamesArgument = Annotated[
    list[str], typer.Argument(metavar="RUN[:ROUND]…", help="Runs, or rounds such as tiny:2.")
]
RerankerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--reranker",
        metavar="FOLDER_OR_NAME",
        help="An outside cross-encoder, on the first run's candidates; repeatable.",
    ),
]
RunFileOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--run-file", metavar="PATH", help="A TREC or TSV run over the same queries; repeatable."
    ),
]
SplitOption = Annotated[str | None, typer.Option(help="test or dev; else the first that all have.")]
MetricOption = Annotated[
    str | None, typer.Option(help="As tables show it; else the first that all have.")
]

PlotOption = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it: .svg, .png or .html.")
]
PICTURES = (".svg", ".png", ".html")


def compare(
    names: NamesArgument,
    reranker: RerankerOption = None,
    run_file: RunFileOption = None,
    store: StoreOption = STORE,
    split: SplitOption = None,
    metric: MetricOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Compare runs (their last accepted rounds), rounds and outside rankings with the first."""
    opened = existing_store(store)
    if plot:
        _require_drawable(plot)
    names = [_run_name(name) for name in names]
    asked: dict[str, Any] = {"split": split, "metric": metric}
    if reranker or run_file:
        asked |= {"rerankers": reranker or [], "run_files": run_file or []}
        rows = _measured(opened, names, console(stderr=json), asked)
    else:
        from strop.flows.beside import compare_rounds

        rows = compare_rounds(opened, names, **asked)
    if plot:
        _draw(rows, plot)
    if json:
        print_json(rows)
        return
    out = console()
    out.print(grid(rows, out.width))
    if plot:
        print(f"figure      {plot}")


def _require_drawable(path: Path) -> None:
    """Raise `InputError` for a figure that could not be written, before anything is measured."""
    if path.suffix.lower() not in PICTURES:
        raise InputError(
            f"--plot {path}: ends in {path.suffix!r}, expected one of {', '.join(PICTURES)}"
        )
    if path.is_dir() or not path.absolute().parent.is_dir():
        found = "is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise InputError(f"--plot {path}: {found}, expected a file in a folder that is there")


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    from strop.flows.beside import draw_beside

    try:
        draw_beside(rows, path)
    except OSError as error:
        raise InputError(f"--plot {path}: cannot be written ({error.strerror})") from error


def _measured(
    store: Store, names: list[str], out: Console, asked: dict[str, Any]
) -> list[dict[str, Any]]:
    """The rows with those of outside rankings, which stages measure that are not measured yet."""
    from strop.cli.running import prefect_server, shown

    with prefect_server(out):
        from strop.flows.beside import compare_rounds

        rows: list[dict[str, Any]] = shown(out, lambda: compare_rounds(store, names, **asked))
        return rows


def _run_name(text: str) -> str:
    """The name of a run, also where its config file stands for it: ``strop.yaml:2``."""
    path, colon, number = text.rpartition(":")
    if not colon:
        path, number = text, ""
    if not Path(path).is_file():
        return text
    from strop.cli.config_file import load_config  # with pydantic, which `strop --help` needs not

    return f"{load_config(Path(path)).name}{colon}{number}"


def grid(rows: list[dict[str, Any]], width: int = WIDE) -> Table:
    """One line a round and ranking, its change against the first round's.

    Names give way to numbers; a terminal narrower than `WIDE` gets the adjusted p-value only.
    """
    first, wide = rows[0], width >= WIDE
    queries = counted(first["n"], f"{first['split']} queries")
    table = Table(
        title=f"{first['metric']}: {queries}",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, int(wide)),
    )
    columns = {
        "value": [f"{row['value']:.3f}" for row in rows],
        f"Δ to {_short(first['name'])}": [_change(row) for row in rows],
        **({"p": [_p_text(row["p_value"]) for row in rows]} if wide else {}),
        "p, Holm": [_p_text(row["adjusted_p_value"]) for row in rows],
    }
    table.add_column("", overflow="fold")
    for name, texts in columns.items():
        table.add_column(name, justify="right", no_wrap=True, min_width=max(map(len, texts)))
    for row, *cells in zip(rows, *columns.values(), strict=True):
        table.add_row(f"{_short(row['name'])}, {NAMES[row['ranking']]}", *cells)
    return table


def _change(row: dict[str, Any]) -> str:
    if row["difference"] is None:
        return ""
    return f"{row['difference']:+.3f} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"


def _p_text(value: float | None) -> str:
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _short(name: str) -> str:
    """A name that leaves room for the numbers: the end of a long path."""
    return name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
