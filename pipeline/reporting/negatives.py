"""The report's part on negatives: what changed among them, and the hardest with their texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from strop.pipeline.mining.negative_changes import HardNegative, NegativeChanges
from strop.pipeline.mining.rule_titles import rule_title
from strop.pipeline.reporting.blocks import Block, Grid, Heading, Paragraph
from strop.pipeline.reporting.examples import shortened

COLUMNS = ("round", "queries", "mined before", "kept", "joined", "left", "left because")
SAMPLERS = {
    "top": "hard by the score that mined",
    "first_stage": "hard by the first stage",
    "in_batch": "other queries' positives",
    "uniform": "random",
    "simans": "SimANS",
}
"""Titles of what drew negatives; others are told by their names."""
REASONS = {
    "skipped: not_sampled": "not drawn",
    "absent": "no candidate any more",
}

NOTE = (
    "Kept, joined and left count the negatives of queries that were mined in the last accepted"
    " round too."
)
ALL_FRESH = "No query was mined in the last accepted round too: all negatives are new."


@dataclass(frozen=True)
class Negatives:
    """Changes by round, and a round's hardest negatives with the texts that they show by id."""

    changes: Mapping[int, NegativeChanges] = field(default_factory=dict)
    hardest: Sequence[HardNegative] = ()
    queries: Mapping[str, str] = field(default_factory=dict)
    passages: Mapping[str, str] = field(default_factory=dict)


def negative_blocks(data: Negatives) -> list[Block]:
    """What became of negatives from round to round, and those that look most like positives."""
    return [*_changes(data.changes), *_hardest(data)]


def _changes(changes: Mapping[int, NegativeChanges]) -> list[Block]:
    if not changes:
        return []
    rows = [_row(number, found) for number, found in sorted(changes.items())]
    samplers = list(dict.fromkeys(name for item in changes.values() for name in item.by_sampler))
    drawn = Grid(
        ("round", "negatives", *(SAMPLERS.get(name, name.replace("_", " ")) for name in samplers)),
        [_drawn(number, found, samplers) for number, found in sorted(changes.items())],
    )
    blocks: list[Block] = [Heading("What changed among the negatives"), drawn]
    if not any(found.same_queries for found in changes.values()):
        return [*blocks, Paragraph(ALL_FRESH)] if len(changes) > 1 else blocks
    return [*blocks, Grid(COLUMNS, rows), Paragraph(NOTE, "note")]


def _row(number: int, found: NegativeChanges) -> list[str]:
    counts = (found.queries, found.same_queries, found.kept, found.joined, found.left)
    cells = [f"{count:,}" for count in counts]
    if not found.same_queries:
        cells[2:] = ["", "", ""]
    why = ", ".join(f"{_reason(why)} {count:,}" for why, count in found.why_left.items())
    return [str(number), *cells, why]


def _reason(why: str) -> str:
    if why in REASONS:
        return REASONS[why]
    decision, colon, rule = why.partition(": ")
    return f"{decision}{colon}{rule_title(rule)}"


def _drawn(number: int, found: NegativeChanges, samplers: Sequence[str]) -> list[str]:
    shares = [found.by_sampler.get(name, 0) / max(found.negatives, 1) for name in samplers]
    return [str(number), f"{found.negatives:,}", *(f"{share:.0%}" for share in shares)]


def _hardest(data: Negatives) -> list[Block]:
    if not data.hardest:
        return []
    rows = [
        [
            shortened(data.queries.get(item.query_id, item.query_id)),
            shortened(data.passages.get(item.positive_id, item.positive_id)),
            shortened(data.passages.get(item.negative_id, item.negative_id)),
        ]
        for item in data.hardest
    ]
    note = (
        "The last mined round's negatives that stand highest against their positive by the score"
        " that mined. One that answers its query is a false negative: strop review, or a stricter"
        " mining.guard."
    )
    columns = ("query", "its positive", "a negative")
    return [
        Heading("The hardest negatives"),
        Grid(columns, rows, num_text_columns=3, wrapped=True),
        Paragraph(note, "note"),
    ]
