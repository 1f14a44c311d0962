"""The report of a run: verdict, results, decisions, plots, mining, lineage and config."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.errors import InputError, counted
from strop.pipeline.reporting.blocks import (
    Block,
    Code,
    Grid,
    Heading,
    Paragraph,
    Picture,
    document,
    page,
)
from strop.pipeline.reporting.breakdown import Breakdown, breakdown_blocks
from strop.pipeline.reporting.calibration import CalibrationFacts, calibration_blocks
from strop.pipeline.reporting.curriculum import RoundWork, curriculum_blocks
from strop.pipeline.reporting.examples import Examples, example_blocks
from strop.pipeline.reporting.figure import RANKING_TITLES, first_and_last
from strop.pipeline.reporting.negatives import Negatives, negative_blocks
from strop.pipeline.reporting.outside import champion_title, champion_value, outside_cells
from strop.pipeline.reporting.plots import rounds_plot, weight_plot
from strop.pipeline.reporting.scores import ScoreFacts, score_blocks

FACT_TITLES = {
    "num_negatives": "negatives",
    "num_suspects": "suspects",
    "changed_by_verdicts": "rows changed by verdicts",
}
"""Column titles of mining facts whose key would not read well; other keys lose underscores."""
FLATTERING = (
    "Dev chose every fusion weight, so that its fused figures flatter a little; those of gate and"
    " test do not."
)


@dataclass(frozen=True)
class RoundFacts:
    """What is told of one round besides its metrics; what is unknown stays empty.

    ``mining`` are numbers by name, e.g. ``{"num_negatives": 6000, "num_suspects": 41}``;
    ``curriculum`` is a `CURRICULUM` row; ``weight_curve`` are (fusion weight, metric on dev);
    ``scores`` are what a diagnosis found.
    """

    mining: Mapping[str, float | str] = field(default_factory=dict)
    curriculum: Mapping[str, Any] = field(default_factory=dict)
    weight: float | None = None
    weight_curve: Sequence[tuple[float, float]] = ()
    scores: ScoreFacts = field(default_factory=ScoreFacts)
    work: RoundWork | None = None


@dataclass(frozen=True)
class ReportData:
    """Everything that a report shows, as plain tables and values.

    ``results`` are `RESULTS` rows of one split, ``decisions`` a `DECISION` table in order.
    ``champion`` is the (round, ranking) of the champion's rows in ``results``: ``(0,
    "first_stage")`` if no round was promoted, None for a champion from outside this run.
    ``outside`` are `OUTSIDE` rows of rerankers that are none of the run's.
    ``lineage`` holds artifact ids by what they are, ``notes`` sentences such as shortfalls.
    ``outcome`` replaces the sentence on the champion, in the report of one round.
    """

    title: str
    results: pa.Table
    decisions: pa.Table
    champion: tuple[int, str] | None
    champion_name: str = ""
    rounds: Mapping[int, RoundFacts] = field(default_factory=dict)
    recall_ceiling: float | None = None
    examples: Examples = field(default_factory=Examples)
    negatives: Negatives = field(default_factory=Negatives)
    lineage: Mapping[str, str] = field(default_factory=dict)
    config: str = ""
    commands: str = ""
    notes: Sequence[str] = ()
    breakdown: Breakdown | None = None
    metric: str = "nDCG@10"
    outcome: str = ""
    calibration: CalibrationFacts = field(default_factory=CalibrationFacts)
    outside: pa.Table | None = None


def render_html(data: ReportData) -> str:
    """One self-contained HTML page: nothing is loaded when it opens."""
    return page(data.title, report_blocks(data, pictures=True))


def render_markdown(data: ReportData, *, pictures: bool = False) -> str:
    """The report as Markdown; ``pictures`` embeds the plots as images, as Prefect's UI shows."""
    return document(report_blocks(data, pictures=pictures))


def report_blocks(data: ReportData, *, pictures: bool) -> list[Block]:
    """The report's content in reading order, the verdict first."""
    splits = pc.unique(data.results["split"].cast(pa.string())).to_pylist()
    if len(splits) != 1:
        raise InputError(f"a report shows the results of one split, but got {splits or 'none'}")
    blocks: list[Block] = [Heading(data.title, 1), Paragraph(data.outcome or verdict(data), "lead")]
    blocks += [Paragraph(note) for note in data.notes]
    blocks += _results(data, split=splits[0], pictures=pictures)
    blocks += _decisions(data)
    if data.breakdown:
        blocks += breakdown_blocks(data.breakdown, metric=data.metric, pictures=pictures)
    blocks += _fusion(data, pictures=pictures)
    scores = {_round_title(number): facts.scores for number, facts in data.rounds.items()}
    blocks += score_blocks(scores, pictures=pictures)
    blocks += calibration_blocks(data.calibration, pictures=pictures)
    blocks += _mining(data)
    blocks += curriculum_blocks(
        {number: facts.curriculum for number, facts in data.rounds.items()},
        {number: facts.work for number, facts in data.rounds.items() if facts.work},
    )
    blocks += negative_blocks(data.negatives)
    blocks += example_blocks(data.examples, metric=data.metric)
    if data.lineage:
        rows = [(name, id_) for name, id_ in data.lineage.items()]
        blocks += [Heading("Lineage"), Grid(("artifact", "id"), rows, num_text_columns=2)]
    if data.config:
        blocks += [Heading("Config"), Code(data.config, "The config of this run")]
    if data.commands:
        blocks += [Heading("Again"), Code(data.commands, "The commands that make this run again")]
    return blocks


def verdict(data: ReportData) -> str:
    """Which ranking is the champion, by how much, and on what evidence, in words."""
    if data.champion is None:
        name = data.champion_name or "an earlier run's reranker"
        value = champion_value(data.outside, metric=data.metric)
        return f"The champion is still {name}{value}: no round of this run was promoted."
    round_, ranking = data.champion
    rows = [
        row
        for row in data.results.to_pylist()
        if (row["round"], row["ranking"], row["metric"]) == (round_, ranking, data.metric)
    ]
    if not rows:
        raise InputError(f"the results hold no {data.metric} of the champion {data.champion}")
    if ranking == "first_stage":
        return (
            f"The first stage stays the champion ({data.metric} on {rows[0]['split']}"
            f" {rows[0]['value']:.3f}): no round was shown to be better."
        )
    return _gain_sentence(data, rows[0])


def _gain_sentence(data: ReportData, row: Mapping[str, Any]) -> str:
    source = "The untuned base" if row["round"] == 0 else f"Round {row['round']}"
    manner = "fused with the first stage" if row["ranking"] == "fused" else "without fusion"
    base = row["value"] - row["difference"]
    significant = row["p_value"] < 0.05
    direction, change = ("above", "gain") if row["difference"] > 0 else ("below", "loss")
    evidence = f"a significant {change}" if significant else "a difference that may be chance"
    return (
        f"{source}, {manner}, is the champion: {data.metric} on {row['split']} is"
        f" {row['value']:.3f},"
        f" {abs(row['difference']):.3f} {direction} the first stage's {base:.3f}"
        f" (95\u00a0% interval {row['difference_ci_low']:+.3f} to {row['difference_ci_high']:+.3f},"
        f" {_p(row['p_value'])}, {counted(row['n'], 'queries')}): {evidence}."
    )


def row_title(round_: int, ranking: str) -> str:
    """What a table calls a ranking of a round, e.g. ``Round 2, fused``."""
    if ranking == "first_stage":
        return RANKING_TITLES[ranking]
    source = "Untuned base" if round_ == 0 else f"Round {round_}"
    return f"{source}, {'alone' if ranking == 'reranker' else ranking}"


def _results(data: ReportData, *, split: str, pictures: bool) -> list[Block]:
    cells: dict[tuple[int, str], dict[str, Mapping[str, Any]]] = {}
    for row in data.results.to_pylist():
        cells.setdefault((row["round"], row["ranking"]), {})[row["metric"]] = row
    metrics = list(dict.fromkeys(data.results["metric"].to_pylist()))
    others = outside_cells(data.outside)
    columns = ["ranking", *metrics, f"{data.metric} change [95\u00a0%]", "p", "p, Holm"]
    grid = Grid(
        columns,
        [
            *(
                _result_row(row_title(*key), row, metrics, data.metric)
                for key, row in cells.items()
            ),
            *(_result_row(title, row, metrics, data.metric) for title, row in others.items()),
        ],
        strong=frozenset(
            i
            for i, key in enumerate([*cells, *others])
            if key == data.champion or key == champion_title(data.outside)
        ),
    )
    queries = counted(data.results["n"][0].as_py(), "queries")
    note = (
        f"{queries} of the split {split}. Changes are against the first stage on the"
        " same queries; intervals are bootstrap, p-values come from a two-sided paired"
        " randomization test, Holm's hold for all the table's comparisons together. A positive that"
        " the first stage missed counts as a miss."
    )
    if data.recall_ceiling is not None:
        note += f" Recall ceiling of the candidates: {data.recall_ceiling:.1%} of the positives."
    if split == "dev":
        note += f" {FLATTERING}"
    blocks: list[Block] = [Heading(f"Results on {split}"), grid, Paragraph(note, "note")]
    if pictures:
        svg = rounds_plot(data.results, metric=data.metric, outside=data.outside)
        blocks.append(Picture(svg, f"{data.metric} on {split} by round, with 95\u00a0% intervals."))
    return blocks


def _result_row(
    title: str, row: Mapping[str, Mapping[str, Any]], metrics: Sequence[str], main: str
) -> list[str]:
    values = [f"{row[name]['value']:.3f}" if name in row else "" for name in metrics]
    change = row.get(main, {})
    if change.get("difference") is None:
        return [title, *values, "", "", ""]
    interval = f"[{change['difference_ci_low']:+.3f}, {change['difference_ci_high']:+.3f}]"
    p_texts = [_p(change[name])[2:].removeprefix("= ") for name in ("p_value", "adjusted_p_value")]
    return [title, *values, f"{change['difference']:+.3f} {interval}", *p_texts]


def _decisions(data: ReportData) -> list[Block]:
    if len(data.decisions) == 0:
        return []
    rows = [[row["verdict"], row["reason"]] for row in data.decisions.to_pylist()]
    grid = Grid(("verdict", "reason"), rows, num_text_columns=2)
    return [Heading("Decisions"), grid]


def _fusion(data: ReportData, *, pictures: bool) -> list[Block]:
    drawn = {
        _round_title(round_): facts
        for round_, facts in data.rounds.items()
        if facts.weight_curve and facts.weight is not None
    }
    shown = first_and_last(list(drawn))
    curves = {title: drawn[title].weight_curve for title in shown}
    chosen = {title: float(drawn[title].weight or 0) for title in shown}
    weights = [
        f"{_round_title(round_)} {facts.weight:g}"
        for round_, facts in data.rounds.items()
        if facts.weight is not None
    ]
    blocks: list[Block] = []
    if weights:
        blocks.append(Paragraph(f"Weight of the reranker, chosen on dev: {', '.join(weights)}."))
    if curves and pictures:
        svg = weight_plot(curves, chosen, metric=data.metric, split="dev")
        caption = (
            "Fused score = weight · z(reranker) + (1 − weight) · z(first stage). The dots are the"
            " chosen weights: those that explain dev's positives best (a conditional logit), which"
            " need not have the curve's highest value."
        )
        blocks.append(Picture(svg, caption))
    return [Heading("Fusion weight"), *blocks] if blocks else []


def _mining(data: ReportData) -> list[Block]:
    mined = {round_: facts for round_, facts in data.rounds.items() if facts.mining}
    if not mined:
        return []
    names = list(dict.fromkeys(name for facts in mined.values() for name in facts.mining))
    columns = ["round", *(FACT_TITLES.get(name, name.replace("_", " ")) for name in names)]
    rows = [
        [str(round_), *(_value(facts.mining.get(name, "")) for name in names)]
        for round_, facts in mined.items()
    ]
    return [Heading("Mining"), Grid(columns, rows)]


def _round_title(round_: int) -> str:
    return "untuned base" if round_ == 0 else f"round {round_}"


def _value(value: float | str) -> str:
    if isinstance(value, str):
        return value.replace("_", " ")
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"


def _p(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
