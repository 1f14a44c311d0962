"""The report's table of rounds: what each one trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from strop.pipeline.reporting.blocks import Block, Grid, Heading, Paragraph

Row = Mapping[str, Any]

AMOUNTS = ("round", "groups", "pairs", "tokens", "size")
HARDNESS = (
    "round",
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

WORK_COLUMNS = ("minutes", "reused stages")
WORK_NOTE = (
    "Minutes are those of the stages that this run made; reused ones had been made before it"
    " started."
)


@dataclass(frozen=True)
class RoundWork:
    """What a round cost: seconds of the stages that the run made, and how many it found made."""

    seconds: float
    stages: int
    reused: int


def curriculum_blocks(
    row_by_round: Mapping[int, Row], work_by_round: Mapping[int, RoundWork] | None = None
) -> list[Block]:
    """The heading, the tables and what their columns mean; nothing without a row.

    Rows are `CURRICULUM` rows by round.
    """
    known = {number: row for number, row in sorted(row_by_round.items()) if row}
    if not known:
        return []
    work = work_by_round or {}
    columns = (*AMOUNTS, *WORK_COLUMNS) if work else AMOUNTS
    amounts = [[*_amounts(number, row), *_work(work.get(number))] for number, row in known.items()]
    note = f"{NOTE} {WORK_NOTE}" if work else NOTE
    return [
        Heading("What was trained on"),
        Grid(columns, amounts),
        Grid(HARDNESS, [_hardness(number, row) for number, row in known.items()]),
        Paragraph(note, "note"),
    ]


def _work(work: RoundWork | None) -> list[str]:
    if work is None:
        return []
    return [f"{work.seconds / 60:.1f}", f"{work.reused} of {work.stages}"]


def _amounts(number: int, row: Row) -> list[str]:
    counts = [f"{row[name]:,}" for name in ("groups", "pairs", "tokens")]
    return [str(number), *counts, f"{row['mean_group_size']:.1f}"]


def _hardness(number: int, row: Row) -> list[str]:
    bands = " / ".join(f"{row[f'{band}_share']:.0%}" for band in ("hard", "medium", "easy"))
    new = "" if row["new_share"] is None else f"{row['new_share']:.0%}"
    counts = [f"{row[name]:,}" for name in ("suspects", "unfilled_slots")]
    violations = f"{row['violation_before']:.0%} → {row['violation_after']:.0%}"
    return [str(number), f"{row['mean_difficulty']:.2f}", bands, new, *counts, violations]
