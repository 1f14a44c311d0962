"""`strop compare`: rounds of any runs beside each other, from the metrics that they have."""

from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from strop.cli.config_file import load_config
from strop.cli.options import existing_store
from strop.cli.output import console, print_json

NAMES = {"first_stage": "first stage", "reranker": "alone", "fused": "fused"}


def run_compare(
    names: list[str], store: Path, *, split: str | None, metric: str | None, json: bool
) -> None:
    """Compare the rounds and show how they did."""
    from strop.flows.beside import compare_rounds

    opened = existing_store(store)
    rows = compare_rounds(opened, [_run_name(name) for name in names], split=split, metric=metric)
    if json:
        print_json(rows)
        return
    console().print(grid(rows))


def _run_name(text: str) -> str:
    """The name of a run, also where its config file stands for it: ``strop.yaml:2``."""
    path, colon, number = text.rpartition(":")
    if not colon:
        path, number = text, ""
    return f"{load_config(Path(path)).name}{colon}{number}" if Path(path).is_file() else text


def grid(rows: list[dict[str, Any]]) -> Table:
    """One line a round and ranking, its change against the first round's."""
    first = rows[0]
    table = Table(
        title=f"{first['metric']}: {first['n']:,} {first['split']} queries",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("", no_wrap=True)
    for name in ("value", f"Δ to {first['name']}", "p", "p, Holm"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        change, p_values = "", ["", ""]
        if row["difference"] is not None:
            change = f"{row['difference']:+.3f} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"
            found = (row["p_value"], row["adjusted_p_value"])
            p_values = ["< 0.001" if value < 0.001 else f"{value:.3f}" for value in found]
        name = f"{row['name']}, {NAMES[row['ranking']]}"
        table.add_row(name, f"{row['value']:.3f}", change, *p_values)
    return table
