"""The report's table of rounds: what each one trained on."""

from collections.abc import Mapping
from typing import Any

from strop.pipeline.reporting.blocks import Block, Grid, Heading, Paragraph

Row = Mapping[str, Any]

COUNTS = ("groups", "pairs", "tokens", "suspects", "unfilled_slots")
COLUMNS = (
    "round",
    "groups",
    "pairs",
    "tokens",
    "size",
    "difficulty",
    "hard / medium / easy",
    "new",
    "suspects",
    "unfilled",
    "violations",
)
NOTE = (
    "Hard, medium and easy are the thirds of each query's pool by mining score that its negatives"
    " come from; new are negatives that the last accepted round did not have. A violation is a"
    " group whose positive is outscored by one of its negatives, in the first → the last tenth of"
    " the training; size and difficulty are means."
)


def curriculum_blocks(row_by_round: Mapping[int, Row]) -> list[Block]:
    """The heading, the table and what its columns mean; nothing without a row.

    Rows are `CURRICULUM` rows by round.
    """
    rows = [_cells(number, row) for number, row in sorted(row_by_round.items()) if row]
    if not rows:
        return []
    return [Heading("What was trained on"), Grid(COLUMNS, rows), Paragraph(NOTE, "note")]


def _cells(number: int, row: Row) -> list[str]:
    groups, pairs, tokens, suspects, unfilled = (f"{row[name]:,}" for name in COUNTS)
    bands = " / ".join(f"{row[f'{band}_share']:.0%}" for band in ("hard", "medium", "easy"))
    new = "" if row["new_share"] is None else f"{row['new_share']:.0%}"
    sizes = [f"{row['mean_group_size']:.1f}", f"{row['mean_difficulty']:.2f}"]
    violations = f"{row['violation_before']:.0%} → {row['violation_after']:.0%}"
    counted = [str(number), groups, pairs, tokens]
    return [*counted, *sizes, bands, new, suspects, unfilled, violations]
