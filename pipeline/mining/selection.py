"""Selection: every row of a round's window with its scores, its decision and the rule behind it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from strop.artifacts.schemas import GROUP_SIZES
from strop.pipeline.arrays import Floats, Ints
from strop.pipeline.config import Mining
from strop.pipeline.mining.curriculum import hardness_of_round
from strop.pipeline.mining.duplicates import repeats_a_positive
from strop.pipeline.mining.group_sizes import difficulties, group_sizes
from strop.pipeline.mining.judging import Judged, probabilities_of, reference_of_rows, suspicion
from strop.pipeline.mining.labels import Labels
from strop.pipeline.mining.mining_score import spread
from strop.pipeline.mining.near_duplicates import WordSets
from strop.pipeline.mining.sampling import Drawn, Sampling, sample
from strop.pipeline.mining.scored_rows import Round as Round
from strop.pipeline.mining.scored_rows import ScoredRows, margin_unit, numbers, scored_rows
from strop.pipeline.mining.selection_table import selection_table
from strop.pipeline.mining.verdicts import RELEVANT, RULES, UNSURE, label_verdicts, said_of_rows


@dataclass(frozen=True)
class Selected:
    """The two ``selection`` tables, and what people ask of them."""

    table: pa.Table
    group_sizes: pa.Table
    summary: dict[str, Any]


def select(
    table: pa.Table,
    text_keys: Ints,
    overlap: Floats | None,
    config: Mining,
    this: Round,
    *,
    documents: Ints | None = None,
    words: WordSets | None = None,
) -> Selected:
    """Decide on every row of the window.

    ``table`` is `selection_rows`'s, or that `with_verdicts`; ``text_keys`` (equal for equal texts)
    and ``overlap`` (largest share of words in common with a positive of the query) are parallel to
    it. So are ``documents`` (equal for passages of one) where documents are judged: no passage of a
    relevant one is a negative. ``words`` of the rows tell which positives of other queries nearly
    repeat one's own. Decisions are ``positive``, ``relabelled``, ``suspect``, ``skipped``
    and ``negative``.
    """
    rows = scored_rows(table, config, this, documents)
    labels, thresholds = _judged(rows, table, text_keys, overlap, config, this)
    difficulty = _difficulty(labels, rows, rows.values, config, this)
    hardness = hardness_of_round(config.curriculum.rounds, this.number, this.rounds)
    available = np.bincount(rows.codes[_allowed(labels, config)], minlength=len(rows.query_ids))
    asked, sizes = _sizes(difficulty, available, config, this)
    drawn = sample(
        _sampling(rows, rows.values, table, text_keys, config, words),
        _allowed(labels, config),
        sizes - 1,
        hardness,
        config,
        seed=this.seed,
        number=this.draw,
    )
    _settle(labels, drawn, config)
    summary = {
        "mined_by": rows.score.source,
        "hardness": round(hardness, 4),
        "group_size": this.group_size,
        "mean_difficulty": round(float(difficulty.mean()), 4) if len(difficulty) else 0.0,
        "unfilled_slots": int(asked.sum() - len(asked) - len(drawn.rows) - drawn.added.num_rows),
        **({"fitted": thresholds} if thresholds else {}),
    }
    wanted = {
        "query_id": rows.query_ids,
        "difficulty": difficulty.astype(np.float32),
        "group_size": asked.astype(np.int32),
    }
    made = selection_table(table, rows.values, labels, drawn.added)
    return Selected(made, pa.table(wanted, schema=GROUP_SIZES), summary)


def _judged(
    rows: ScoredRows,
    table: pa.Table,
    text_keys: Ints,
    overlap: Floats | None,
    config: Mining,
    this: Round,
) -> tuple[Labels, dict[str, Any]]:
    """The labels that people's words, texts and scores give; what is open may be a negative.

    Also the thresholds that were fitted.
    """
    labels = Labels(len(rows.codes))
    label_verdicts(labels, table, rows.positive)
    relevant = rows.positive | said_of_rows(table, RELEVANT)
    labels.set(rows.siblings(relevant) & ~rows.positive, "skipped", "sibling_of_positive")
    if this.taught:
        _leave_out_untaught(labels, rows, numbers(table["teacher_score"]))
    _label_positives(labels, rows, text_keys, overlap, config)
    thresholds = _guard(labels, rows, rows.values, table, config, this)
    relabelled = rows.siblings(labels.decision.are("relabelled"))
    labels.set(relabelled, "skipped", "sibling_of_positive")
    return labels, thresholds


def _settle(labels: Labels, drawn: Drawn, config: Mining) -> None:
    """Label what was drawn as negatives, and skip what is still open."""
    labels.sample(drawn.rows, drawn.samplers)
    if config.suspects == "down_weight":
        down = labels.decision.are("negative") & ~labels.rule.are("sampled")
        labels.weight[down] = config.suspect_weight
    labels.set(labels.open, "skipped", "not_sampled")


def _leave_out_untaught(labels: Labels, rows: ScoredRows, teacher: Floats) -> None:
    """Skip what the teacher has no score of, and queries of which it scored no positive."""
    taught = ~np.isnan(teacher)
    positives = np.bincount(rows.codes[rows.positive & taught], minlength=len(rows.query_ids))
    labels.set(~taught | (positives == 0)[rows.codes], "skipped", "without_teacher_score")


def _label_positives(
    labels: Labels, rows: ScoredRows, text_keys: Ints, overlap: Floats | None, config: Mining
) -> None:
    """Label positives, and skip what repeats one word for word or nearly."""
    labels.set(rows.positive, "positive", "judged")
    repeated = repeats_a_positive(rows.codes, text_keys, rows.positive)
    labels.set(repeated, "skipped", "duplicate_of_positive")
    if overlap is not None and config.guard.near_duplicate is not None:
        labels.set(overlap >= config.guard.near_duplicate, "skipped", "near_duplicate_of_positive")


def _sizes(difficulty: Floats, available: Ints, config: Mining, this: Round) -> tuple[Ints, Ints]:
    """The group sizes that difficulty asks for, and those that the candidates allow."""
    low, high = config.group_sizes
    bounds = {
        "mean": this.group_size,
        "low": min(low, this.group_size),
        "high": max(high, this.group_size),
    }
    asked, _ = group_sizes(difficulty, np.full_like(available, bounds["high"]), **bounds)
    sizes, _ = group_sizes(difficulty, _with_others(available, config), **bounds)
    return asked, sizes


def _guard(
    labels: Labels, rows: ScoredRows, values: Floats, table: pa.Table, config: Mining, this: Round
) -> dict[str, Any]:
    """Set suspects and rows that are too easy; returns thresholds that were fitted."""
    guard = config.guard
    if guard.min_score is not None:
        labels.set(values < guard.min_score, "skipped", "below_min_score")
    if config.suspects == "keep":
        return {}
    judges = _judges(rows, values, table, config, this)
    found = suspicion(rows.codes, rows.positive, rows.retrieved, len(rows.query_ids), judges, guard)
    suspect, rules = found.suspect & ~rows.judged, found.rules
    if guard.max_score is not None:
        capped = (values > guard.max_score) & ~rows.judged & ~suspect
        suspect = suspect | capped
        rules.put(capped, "above_max_score")
    if config.suspects == "relabel" and judges:
        probable = (
            probabilities_of(judges[0], rows.positive, rows.retrieved) > config.relabel_probability
        )
        for rule in rules.distinct(suspect):
            labels.set(suspect & probable & rules.are(rule), "relabelled", rule)
    for rule in rules.distinct(suspect):
        labels.set(suspect & rules.are(rule), "suspect", rule)
    return found.thresholds


def _judges(
    rows: ScoredRows, values: Floats, table: pa.Table, config: Mining, this: Round
) -> list[Judged]:
    by = this.calibrations
    mining = Judged(
        rows.score.source, values, rows.score.margin, by.get(_calibration_name(rows.score.source))
    )
    beyond = np.where(rows.scored & ~rows.positive, np.nan, rows.first_stage)
    first_stage = Judged(
        "first_stage", beyond, config.guard.first_stage_margin, by.get("first_stage")
    )
    unit = margin_unit(config, this) * config.guard.margin
    offered = {
        "mining": [mining] if rows.scored[~rows.positive].all() else [mining, first_stage],
        "teacher": [Judged("teacher", numbers(table["teacher_score"]), unit)],
        "earlier_round": [Judged("earlier_round", numbers(table["earlier_score"]), unit)],
    }
    judges = [judge for name in config.guard.judges for judge in offered[name]]
    return [judge for judge in judges if not np.isnan(judge.scores).all()]


def _calibration_name(source: str) -> str:
    return "first_stage" if source == "first_stage" else "mining"


def _sampling(
    rows: ScoredRows,
    values: Floats,
    table: pa.Table,
    text_keys: Ints,
    config: Mining,
    words: WordSets | None,
) -> Sampling:
    return Sampling(
        rows.codes,
        rows.query_ids,
        values,
        rows.first_stage,
        _reference(rows, values, config),
        table["pool"],
        table["passage_id"],
        text_keys,
        rows.positive,
        rows.documents,
        words,
    )


def _reference(rows: ScoredRows, values: Floats, config: Mining) -> Floats:
    return reference_of_rows(rows.codes, values, rows.positive, len(rows.query_ids), config.guard)


def _difficulty(
    labels: Labels, rows: ScoredRows, values: Floats, config: Mining, this: Round
) -> Floats:
    """The share of each query's pool, suspects included, that scores near its positive."""
    known = rows.scored & ~np.isnan(values)
    unit = this.temperature
    if rows.score.source == "first_stage":
        unit = spread(rows.codes[known], values[known])
    candidate = ~labels.decision.are("positive") & ~labels.decision.are("skipped") & known
    return difficulties(
        rows.codes,
        values,
        _reference(rows, values, config),
        candidate,
        config.difficulty_margin * unit,
        len(rows.query_ids),
    )


def _allowed(labels: Labels, config: Mining) -> Any:
    if config.suspects == "down_weight":
        return labels.open | (labels.decision.are("suspect") & ~labels.rule.are(RULES[UNSURE]))
    return labels.open


def _with_others(available: Ints, config: Mining) -> Ints:
    """Positives of other queries fill slots that need no candidate of the query's own."""
    if config.sampler != "mixed" or config.quotas.in_batch == 0:
        return available
    return available + round((config.group_sizes[1] - 1) * config.quotas.in_batch)
