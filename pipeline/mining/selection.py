"""Selection: every pool row with its scores, its decision and the rule behind it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import SELECTION
from strop.pipeline.config import Mining
from strop.pipeline.mining.duplicates import repeats_a_positive
from strop.pipeline.mining.guards import above_margin, positive_reference
from strop.pipeline.mining.mining_score import mining_score
from strop.pipeline.mining.samplers import SAMPLERS, Draw, hard_share_of_round
from strop.pipeline.seeds import generator

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Round:
    """Which round of how many is mined, from which seed, and how dev weighs the reranker."""

    number: int
    rounds: int
    seed: int
    temperature: float
    weight: float


def select(rows: pa.Table, text_keys: Ints, config: Mining, this: Round) -> pa.Table:
    """Decide on every row of the window.

    ``rows`` has query_id, passage_id, rank (null for positives outside the window),
    first_stage_score, reranker_score (null where the reranker did not score) and ``positive``,
    sorted by query; text_keys is parallel to it. Decisions are ``positive``, ``suspect``,
    ``skipped`` and ``negative``.
    """
    codes, query_ids = _query_codes(rows)
    positive = rows["positive"].to_numpy()
    first_stage, reranker = _numbers(rows["first_stage_score"]), _numbers(rows["reranker_score"])
    by_reranker = this.weight > 0 and not np.isnan(reranker).all()
    scored = ~np.isnan(reranker) if by_reranker else np.ones(len(codes), bool)
    assert scored[positive].all(), "a positive was not scored"
    score = mining_score(
        codes[scored],
        first_stage[scored],
        reranker[scored] if by_reranker else None,
        weight=this.weight,
        margin=config.margin * this.temperature,
        first_stage_margin=config.first_stage_margin,
    )
    values = np.full(len(codes), np.nan)
    values[scored] = score.values
    labels = _Labels(len(codes))
    labels.set(positive, "positive", "judged")
    labels.set(repeats_a_positive(codes, text_keys, positive), "skipped", "duplicate_of_positive")
    if config.suspects == "drop":
        reference = _reference(codes, values, positive, len(query_ids), config)
        labels.set(above_margin(values, reference, score.margin), "suspect", "above_margin")
        reference = _reference(codes, first_stage, positive, len(query_ids), config)
        guarded = ~scored & above_margin(first_stage, reference, config.first_stage_margin)
        labels.set(guarded, "suspect", "above_first_stage_margin")
    _sample(labels, codes, query_ids, values, config, this)
    return _table(rows, values, labels)


def _reference(codes: Ints, scores: Any, positive: Any, count: int, config: Mining) -> Any:
    return positive_reference(codes, scores, positive, count, config.positive_reference)[codes]


class _Labels:
    """Decision, rule and sampler of every row; the first decision on a row stands."""

    def __init__(self, count: int) -> None:
        self.decision = np.full(count, "", dtype=object)
        self.rule = np.full(count, "", dtype=object)
        self.sampler = np.full(count, "", dtype=object)

    @property
    def open(self) -> Any:
        return self.decision == ""

    def set(self, rows: Any, decision: str, rule: str) -> None:
        chosen = rows & self.open
        self.decision[chosen] = decision
        self.rule[chosen] = rule


def _sample(
    labels: _Labels,
    codes: Ints,
    query_ids: list[str],
    scores: Any,
    config: Mining,
    this: Round,
) -> None:
    share = hard_share_of_round(config.hard_share, this.number, this.rounds)
    starts = np.searchsorted(codes, np.arange(len(query_ids) + 1))
    for code, query_id in enumerate(query_ids):
        span = np.arange(starts[code], starts[code + 1])
        allowed = span[labels.open[span]]
        random = generator(this.seed, "mine", this.number, query_id)
        draw = Draw(scores[allowed], config.group_size - 1, share, random)
        chosen, names = SAMPLERS[config.sampler](draw)
        labels.decision[allowed[chosen]] = "negative"
        labels.rule[allowed[chosen]] = "sampled"
        labels.sampler[allowed[chosen]] = names
    labels.set(labels.open, "skipped", "not_sampled")


def _query_codes(rows: pa.Table) -> tuple[Ints, list[str]]:
    encoded = rows["query_id"].combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(), np.int64), encoded.dictionary.to_pylist()


def _numbers(column: pa.ChunkedArray) -> Any:
    return column.to_numpy().astype(np.float64)


def _table(rows: pa.Table, scores: Any, labels: _Labels) -> pa.Table:
    return pa.table(
        {
            "query_id": rows["query_id"],
            "passage_id": rows["passage_id"],
            "rank": rows["rank"],
            "first_stage_score": rows["first_stage_score"],
            "reranker_score": rows["reranker_score"],
            "mining_score": pa.array(scores.astype(np.float32), mask=np.isnan(scores)),
            "decision": pa.array(labels.decision, pa.string()).dictionary_encode(),
            "rule": pa.array(labels.rule, pa.string()).dictionary_encode(),
            "sampler": pa.array(labels.sampler, pa.string()).dictionary_encode(),
        },
        schema=SELECTION,
    )


def pool_with_positives(
    pool: pa.Table, positive_scores: pa.Table, reranker_scores: pa.Table | None
) -> pa.Table:
    """The rows that `select` decides on: the pool and the positives that the pool lacks."""
    keys = ["query_id", "passage_id"]
    queries = pc.unique(pool["query_id"])
    positives = positive_scores.filter(pc.is_in(positive_scores["query_id"], value_set=queries))
    positives = positives.rename_columns([*keys, "positive_score"])
    candidates = pool.select([*keys, "rank", "score"])
    rows = candidates.join(positives, keys=keys, join_type="full outer", coalesce_keys=True)
    rows = pa.table(
        {
            "query_id": rows["query_id"],
            "passage_id": rows["passage_id"],
            "rank": rows["rank"],
            "first_stage_score": pc.coalesce(rows["score"], rows["positive_score"]),
            "positive": pc.is_valid(rows["positive_score"]),
        }
    )
    if reranker_scores is None:
        rows = rows.append_column("reranker_score", pa.nulls(rows.num_rows, pa.float32()))
    else:
        named = reranker_scores.rename_columns([*keys, "reranker_score"])
        rows = rows.join(named, keys=keys, join_type="left outer")
    order = [("query_id", "ascending"), ("rank", "ascending"), ("passage_id", "ascending")]
    return rows.sort_by(order).combine_chunks()
