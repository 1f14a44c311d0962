"""The report's part on a reranker's scores: how positives stand to others, by round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from strop.pipeline.reporting.blocks import Block, Grid, Heading, Items, Paragraph, Picture
from strop.pipeline.reporting.figure import first_and_last
from strop.pipeline.reporting.plots import histogram_plot

COLUMNS = {
    "loss_share": ("loss", "{:.2f}"),
    "auc": ("AUC", "{:.3f}"),
    "auc_within_query": ("within queries", "{:.3f}"),
    "ks": ("KS", "{:.3f}"),
    "gap": ("gap", "{:.2f}"),
    "outscored_share": ("outscored", "{:.0%}"),
    "spread": ("spread", "{:.3f}"),
    "shift": ("moved", "{:+.2f}"),
    "rescaling": ("stretched", "× {:.2f}"),
}
"""Title and form of every number of a diagnosis that is told."""
NOTE = (
    "On dev, of all scored candidates of queries with a positive; what nobody labelled counts as"
    " negative."
)
MEANINGS = {
    ("auc", "ks"): "AUC and KS (Kolmogorov and Smirnov's distance) are over all queries together.",
    ("auc_within_query",): "AUC within queries is the mean of each query's own, blind to a level"
    " that differs from query to query.",
    ("gap",): "The gap is that of the means in pooled standard deviations.",
    ("outscored_share",): "Outscored are queries whose best positive another candidate outscores.",
    ("spread",): "The spread is the median standard deviation of a query's scores, in logits.",
    ("loss_share",): "The loss is that of the training's last quarter as a share of that of equal"
    " scores: at 1 nothing was learned, and harder negatives raise it.",
    ("shift",): "Moved is the drift against the last accepted round, in its standard deviations.",
    ("rescaling",): "Stretched is the drift as a factor of that round's spread.",
}
"""What the columns of the same table mean; told where one of them is there."""
HEALTHY = "No alarm in any round."


@dataclass(frozen=True)
class ScoreFacts:
    """One round's diagnosis: its numbers by name, `DIAGNOSIS_HISTOGRAM` rows, alarm sentences."""

    numbers: Mapping[str, float] = field(default_factory=dict)
    histogram: pa.Table | None = None
    alarms: Sequence[str] = ()


def score_blocks(facts_by_title: Mapping[str, ScoreFacts], *, pictures: bool) -> list[Block]:
    """The numbers of all rounds, then each one's distributions and alarms; empty without any."""
    known = {title: facts for title, facts in facts_by_title.items() if _told(facts)}
    if not known:
        return []
    blocks: list[Block] = [Heading("Scores of positives and other candidates")]
    blocks += _numbers(known)
    drawn = first_and_last(list(known))
    if len(drawn) < len(known):
        blocks.append(Paragraph(f"Drawn are {drawn[0]} and the last {len(drawn) - 1} rounds."))
    for title, facts in known.items():
        if title in drawn and facts.histogram is not None and pictures:
            caption = f"Reranker scores of {title} on dev, each group summing to 100\u00a0%."
            blocks.append(Picture(histogram_plot(facts.histogram, title=title), caption))
        if facts.alarms:
            blocks.append(Items([f"{title}: {alarm}" for alarm in facts.alarms], alarming=True))
    if not any(facts.alarms for facts in known.values()):
        blocks.append(Paragraph(HEALTHY))
    return blocks


def _told(facts: ScoreFacts) -> bool:
    return bool(facts.numbers or facts.alarms or facts.histogram is not None)


def _numbers(facts_by_title: Mapping[str, ScoreFacts]) -> list[Block]:
    names = [
        name for name in COLUMNS if any(name in facts.numbers for facts in facts_by_title.values())
    ]
    if not names:
        return []
    rows = [
        [title, *(_cell(name, facts.numbers) for name in names)]
        for title, facts in facts_by_title.items()
    ]
    grid = Grid(("on dev", *(COLUMNS[name][0] for name in names)), rows)
    return [grid, Paragraph(_note(names), "note")]


def _note(names: Sequence[str]) -> str:
    """What the table's columns mean, and no others."""
    told = (text for columns, text in MEANINGS.items() if not set(columns).isdisjoint(names))
    return " ".join((NOTE, *told))


def _cell(name: str, numbers: Mapping[str, float]) -> str:
    return COLUMNS[name][1].format(numbers[name]) if name in numbers else ""
