"""The table of results that a run ends with, for people and for scripts."""

from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.refs import read
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.pipeline.config import Config
from strop.pipeline.errors import counted

SHOWN = 3
"""Metrics that the table has: the first of the config's, the one that decides before all."""
NAMES = {"reranker": "alone", "fused": "fused"}


def run_results(store: Store, run: str, champion: str) -> dict[str, Any]:
    """Every row of a run's results with its champion, and where the report is."""
    made = Run(store, run).parts()["assess"]["report"]
    current = read(store, champion).value or {}
    return {
        "run": run,
        "rounds": store.table(made, "results").to_pylist(),
        "outside": outside_rows(store, made),
        "champion": {key: current.get(key) for key in ("name", "round", "ranking", "weight", "run")}
        | {"model": model_folder(store, current)},
        "report": str(store.file(made, "report.html")),
    }


def reason_of(store: Store, value: dict[str, Any]) -> str:
    """Why a champion became one, a person's word and a roll-back told."""
    made = {item.id: item for item in store.artifacts("decision")}.get(value["decision"])
    if value["decision"] is None:
        reason = "the base's head is fresh and not yet trained"
    elif made is None:
        reason = f"decision {value['decision']} is not in the store"
    else:
        reason = str(made.summary["reason"])
    if made is not None and made.summary.get("verdict") == "awaiting":  # and a person gave the word
        note = f" ({value['approved']})" if value.get("approved") else ""
        reason = f"{reason.partition(': awaits')[0]}: promoted by hand{note}"
    restored = value.get("restored")
    return f"rolled back to move {restored}: {reason}" if restored else reason


def decision_told(store: Store, config: Config, reason: str) -> str:
    """Why a run's decision was made, and what has become of it since by a person's word."""
    from strop.flows.session import PROMOTE

    made = Run(store, config.name).parts().get(PROMOTE, {}).get("decision")
    current = read(store, config.champion).value or {}
    return reason_of(store, current) if made and current.get("decision") == made.id else reason


def outside_rows(store: Store, report: ArtifactRef) -> list[dict[str, Any]]:
    """The rows of rerankers that are none of the run's, if the report has any."""
    if "outside.parquet" not in store.manifest(report).files:
        return []
    rows: list[dict[str, Any]] = store.table(report, "outside").to_pylist()
    return rows


def model_folder(store: Store, champion: dict[str, Any]) -> str | None:
    """The folder of the champion's reranker; None when the first stage is champion."""
    if not champion.get("reranker"):
        return None
    return str(store.place(ArtifactRef(**champion["reranker"])))


WIDE = 106
"""Columns that the whole table takes."""
P_VALUES = {"p_value": "p", "adjusted_p_value": "p, Holm"}


def results_grid(results: dict[str, Any], width: int = WIDE) -> Table:
    """One row a ranking: the first stage, the untuned base and each round, alone and fused.

    A terminal that is narrower than `WIDE` gets the first metric and the adjusted p-value only.
    """
    rows = results["rounds"]
    metrics = list(dict.fromkeys(row["metric"] for row in rows))[:SHOWN]
    metrics, padding = (metrics, 1) if width >= WIDE else (metrics[:1], 0)
    split, count = rows[0]["split"], rows[0]["n"]
    table = Table(
        title=f"{results['run']}: {counted(count, f'{split} queries')}",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, padding),
    )
    table.add_column("", no_wrap=True)
    for metric in metrics:
        table.add_column(metric, justify="right", no_wrap=True)
    table.add_column(f"Δ {metrics[0]} to first stage", justify="right", no_wrap=True)
    p_values = tuple(P_VALUES) if width >= WIDE else ("adjusted_p_value",)
    for name in p_values:
        table.add_column(P_VALUES[name], justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    groups: dict[tuple[Any, str], dict[str, dict[str, Any]]] = {}
    for row in [*rows, *results.get("outside", ())]:
        key = (row.get("round", row.get("name")), row["ranking"])
        groups.setdefault(key, {})[row["metric"]] = row
    for row_by_metric in groups.values():
        table.add_row(*_cells(row_by_metric, metrics, p_values, results))
    return table


def _cells(
    row_by_metric: dict[str, dict[str, Any]],
    metrics: list[str],
    p_values: tuple[str, ...],
    results: dict[str, Any],
) -> list[str]:
    first = row_by_metric[metrics[0]]
    values = [f"{row_by_metric[metric]['value']:.3f}" for metric in metrics]
    change, chances = "", [""] * len(p_values)
    if first["difference"] is not None:
        low, high = first["difference_ci_low"], first["difference_ci_high"]
        change = f"{first['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"
        chances = [_p_text(first[key]) for key in p_values]
    return [_row_name(first), *values, change, *chances, _mark(first, results)]


def _row_name(row: dict[str, Any]) -> str:
    if row["ranking"] == "first_stage":
        return "first stage"
    number = row.get("round")
    own = f"round {number}" if number else "untuned base"
    return f"{row.get('name', own)}, {NAMES[row['ranking']]}"


def _mark(row: dict[str, Any], results: dict[str, Any]) -> str:
    """What a row is besides a row: the champion's, or that of a reranker off the shelf."""
    if "role" in row:
        return str(row["role"]) if row["ranking"] == "fused" else ""
    champion = results["champion"]
    wanted = (champion["run"], champion["round"], champion["ranking"])
    return "champion" if (results["run"], row["round"], row["ranking"]) == wanted else ""


def _p_text(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def verdict_sentence(results: dict[str, Any]) -> str:
    """Whether the champion beats the first stage on this split, said plainly."""
    champion = results["champion"]
    found = [
        row
        for row in results["rounds"]
        if row["round"] == champion["round"] and row["ranking"] == champion["ranking"]
    ]
    if champion["name"] is None:
        return "There is no champion yet: `strop run` decides."
    if champion["run"] != results["run"]:
        return f"The champion is {champion['name']}, of another run{_outside_value(results)}."
    if champion["ranking"] == "first_stage" or not found:
        return "No round was promoted: the first stage alone stays champion."
    row = found[0]
    low, high = row["difference_ci_low"], row["difference_ci_high"]
    size = f"{row['difference']:+.3f} [{low:+.3f}, {high:+.3f}] {row['metric']}"
    if row["difference"] > 0 and row["p_value"] < 0.05:
        return f"The champion, {champion['name']}, beats the first stage significantly: {size}."
    return f"The champion, {champion['name']}, does NOT beat the first stage significantly: {size}."


def _outside_value(results: dict[str, Any]) -> str:
    """The value of another run's champion on this split, where it was measured."""
    for row in results.get("outside", ()):
        if row["role"] == "champion" and row["ranking"] == "fused":
            change = f"{row['difference']:+.3f} to the first stage"
            return f": {row['metric']} {row['value']:.3f}, {change}"
    return ""


def relative(path: str) -> str:
    """A path as short as it can be from here."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
