"""The rows of rerankers that are none of the run's, as the report's table of results tells them."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

Cells = dict[str, dict[str, Mapping[str, Any]]]


def outside_cells(outside: pa.Table | None) -> Cells:
    """`OUTSIDE` rows by the title of their ranking and by metric, in their order."""
    cells: Cells = {}
    for row in outside.to_pylist() if outside is not None else ():
        cells.setdefault(_title(row), {})[row["metric"]] = row
    return cells


def champion_title(outside: pa.Table | None) -> str | None:
    """The title of the row that is the champion's, where it comes from another run."""
    return next((title for title, row in _champion(outside).items() if row), None)


def champion_value(outside: pa.Table | None, *, metric: str) -> str:
    """The champion's value for a sentence, or nothing where it was not measured."""
    for row in _champion(outside).values():
        if metric in row:
            found = row[metric]
            return f" ({found['metric']} on {found['split']} {found['value']:.3f})"
    return ""


def _champion(outside: pa.Table | None) -> Cells:
    """The cells of the champion: that of another run is fused, or it would be the first stage."""
    return {
        title: row
        for title, row in outside_cells(outside).items()
        if next(iter(row.values()))["role"] == "champion"
        and next(iter(row.values()))["ranking"] == "fused"
    }


def _title(row: Mapping[str, Any]) -> str:
    manner = "alone" if row["ranking"] == "reranker" else row["ranking"]
    return f"{row['name']} ({row['role']}), {manner}"
