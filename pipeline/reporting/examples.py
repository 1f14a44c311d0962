"""The report's queries with their passages before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from strop.pipeline.evaluation.examples import Example
from strop.pipeline.reporting.blocks import Block, Grid, Heading, Paragraph

TITLES = {
    "lost": "Queries that lost most",
    "gained": "Queries that gained most",
    "hardest": "The hardest queries",
}
LENGTH = 160
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class Examples:
    """Examples by kind, with the texts of what they show by id."""

    found: Mapping[str, Sequence[Example]] = field(default_factory=dict)
    queries: Mapping[str, str] = field(default_factory=dict)
    passages: Mapping[str, str] = field(default_factory=dict)
    round: int = 0
    """Whose fused ranking is shown; 0 is the untuned base."""


def example_blocks(examples: Examples, *, metric: str) -> list[Block]:
    """A table a kind, a line for each place of the rankings; relevant passages bear a ✓."""
    blocks: list[Block] = []
    for kind, found in examples.found.items():
        rows = [row for example in found for row in _rows(example, examples)]
        columns = (f"query ({metric} before → after)", "first stage", "fused")
        blocks += [Heading(TITLES[kind]), Grid(columns, rows, num_text_columns=3, wrapped=True)]
    if blocks:
        source = f"round {examples.round}" if examples.round else "the untuned base"
        note = f"Fused is the ranking of {source}; ✓ marks a passage that is judged relevant."
        blocks.append(Paragraph(note, "note"))
    return blocks


def _rows(example: Example, examples: Examples) -> list[list[str]]:
    text = shortened(examples.queries.get(example.query_id, example.query_id))
    title = f"{text} ({example.before:.2f} → {example.after:.2f})"
    rows: list[list[str]] = []
    for first, last in zip_longest(example.first, example.last):
        cells = [_passage(place, examples) for place in (first, last)]
        rows.append([title if not rows else "", *cells])
    return rows or [[title, "", ""]]


def _passage(place: tuple[str, bool] | None, examples: Examples) -> str:
    if place is None:
        return ""
    passage, relevant = place
    text = shortened(examples.passages.get(passage, passage))
    return f"✓ {text}" if relevant else text


def shortened(text: str) -> str:
    """The text on one line, cut where it is long."""
    folded = " ".join(text.split())
    return folded if len(folded) <= LENGTH else f"{folded[: LENGTH - 1]}…"
