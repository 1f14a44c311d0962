"""The part of a report that says how far scores are from probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.evaluation.reliability import TITLES
from strop.pipeline.reporting.blocks import Block, Grid, Heading, Paragraph, Picture
from strop.pipeline.reporting.figure import first_and_last
from strop.pipeline.reporting.plots import reliability_plot

Rows = Sequence[Mapping[str, Any]]
EXPECTED = (
    "The sigmoid of a logit is no probability here, and need not be one: losses over groups fix"
    " only the differences of a query's scores, so a large error is what a healthy round has and"
    " says nothing of its ranking. It matters to whoever puts a threshold on scores."
)
MEANING = (
    "ECE is the expected calibration error over 15 bins of equal mass (Guo et al. 2017); the"
    " Brier score is the mean squared error, to be held against the base rate's, which gives every"
    " candidate the share of positives. Unlabelled candidates count as negatives, so that true"
    " probabilities are higher where labels are missing."
)


@dataclass(frozen=True)
class CalibrationFacts:
    """What is known of calibration.

    ``numbers`` and ``reliability`` are a diagnosis' summary and `RELIABILITY` table by round, on
    dev. ``measures`` and ``fitted`` are `CALIBRATION_MEASURES` and `RELIABILITY` rows by split,
    before and after the calibration of round ``fitted_round``.
    """

    numbers: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    reliability: Mapping[int, pa.Table] = field(default_factory=dict)
    fitted_round: int | None = None
    measures: Mapping[str, pa.Table] = field(default_factory=dict)
    fitted: Mapping[str, pa.Table] = field(default_factory=dict)


def calibration_blocks(facts: CalibrationFacts, *, pictures: bool) -> list[Block]:
    """The errors of every round, and before and after a calibration; empty where none is known."""
    if not facts.numbers and not facts.measures:
        return []
    blocks: list[Block] = [Heading("Calibration"), Paragraph(EXPECTED)]
    if facts.numbers:
        blocks.append(_rounds(facts))
    if facts.measures:
        blocks += [Paragraph(_fitted_sentence(facts)), _before_and_after(facts)]
    if pictures:
        blocks += _picture(facts)
    return [*blocks, Paragraph(MEANING, "note")]


def _rounds(facts: CalibrationFacts) -> Grid:
    rows = [
        [
            f"round {number}",
            *(f"{numbers[name]:.3f}" for name in ("ece", "brier", "brier_of_base_rate")),
            f"{_share(numbers):.1%}",
        ]
        for number, numbers in facts.numbers.items()
    ]
    return Grid(("on dev", "ECE", "Brier", "base rate's", "positives"), rows)


def _share(numbers: Mapping[str, float]) -> float:
    positives = numbers["num_positives"]
    return positives / (positives + numbers["num_negatives"])


def _fitted_sentence(facts: CalibrationFacts) -> str:
    method = next(iter(facts.measures.values()))["calibration"].to_pylist()[1]
    title = TITLES[method]
    ties = "; where it is level, they tie" if method == "isotonic" else ""
    said = (
        f"{title[0].upper()}{title[1:]} was fitted on dev for {_round_title(facts.fitted_round)};"
        " its dev figures are out of fold, by groups of queries. It never falls with the score, so"
        f" no two candidates change places{ties}. The export of a champion has it beside the model."
    )
    split, measures = list(facts.measures.items())[-1]
    before, after = measures["ece"].to_pylist()
    if after < before:
        return said
    return (
        f"{said} It does not help: on {split} the ECE is {after:.3f} after {before:.3f}."
        " Temperature scaling cannot move the level of scores; Platt scaling and isotonic"
        " regression can."
    )


def _before_and_after(facts: CalibrationFacts) -> Grid:
    rows = [
        [
            split,
            TITLES[row["calibration"]],
            f"{row['ece']:.3f}",
            f"{row['brier']:.3f}",
            f"{row['num_positives']:,} of {row['num_candidates']:,}",
        ]
        for split, measures in facts.measures.items()
        for row in measures.to_pylist()
    ]
    return Grid(("split", "probability", "ECE", "Brier", "positives"), rows, num_text_columns=2)


def _picture(facts: CalibrationFacts) -> list[Block]:
    """Before and after on the last split where a calibration was fitted, else every round."""
    if facts.fitted:
        split, table = list(facts.fitted.items())[-1]
        names = pc.unique(table["calibration"].cast(pa.string())).to_pylist()
        lines = {TITLES[name]: _of(table, name) for name in names}
        subject = f"{_round_title(facts.fitted_round)} on {split}"
    else:
        every = {f"round {number}": table for number, table in facts.reliability.items()}
        lines = {title: every[title] for title in first_and_last(list(every))}
        subject = "the sigmoid of the logit on dev"
    if not lines:
        return []
    caption = (
        f"Reliability of {subject}: the share of positives among candidates of about equal"
        " probability, in bins of equal mass. A calibrated score lies on the dashed line."
    )
    return [Picture(reliability_plot(lines, calibrated=bool(facts.fitted)), caption)]


def _of(table: pa.Table, name: str) -> pa.Table:
    return table.filter(pc.equal(table["calibration"].cast(pa.string()), name))


def _round_title(number: int | None) -> str:
    return f"round {number}" if number else "the untuned base"
