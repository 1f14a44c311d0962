"""The columns that a round's decisions are made from, and the score that mines."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.arrays import Floats, Ints
from strop.pipeline.config import Mining
from strop.pipeline.mining.calibration import Calibration
from strop.pipeline.mining.duplicates import repeats_a_positive
from strop.pipeline.mining.mining_score import MiningScore, mining_score
from strop.pipeline.mining.rows import JUDGED
from strop.pipeline.mining.verdicts import RELEVANT, said_of_rows


@dataclass(frozen=True)
class Round:
    """Which round of how many is mined, from which seed, and how dev weighs the reranker.

    ``group_size`` is the mean of the round's groups; ``draw`` keys the randomness, so that rounds
    of one draw take the same negatives where nothing else changed. ``calibrations`` are dev's, by
    what mines (``mining`` and ``first_stage``), for rules that ask for probabilities. ``taught``
    says that losses need a teacher's score of every member.
    """

    number: int
    rounds: int
    seed: int
    temperature: float
    weight: float
    group_size: int
    draw: int
    taught: bool = False
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoredRows:
    """Parallel columns; ``score`` is that of the rows that are ``scored``.

    ``retrieved`` tells the rows that any retriever found. ``first_stage`` is what the first stage
    says of a row or, of a candidate that it did not retrieve, the most that it can say.
    """

    codes: Ints
    query_ids: list[str]
    positive: Any
    judged: Any
    retrieved: Any
    first_stage: Floats
    scored: Any
    score: MiningScore
    documents: Ints | None
    """A number for each row's document, where documents are judged; else passages are."""

    def siblings(self, chosen: Any) -> Any:
        """Which rows are of the same document as one of the query's chosen rows."""
        if self.documents is None:
            return np.zeros(len(self.codes), bool)
        return repeats_a_positive(self.codes, self.documents, chosen)

    @cached_property
    def values(self) -> Floats:
        """Mining scores; NaN for rows that what mines did not score."""
        found = np.full(len(self.codes), np.nan)
        found[self.scored] = self.score.values
        return found


def scored_rows(table: pa.Table, config: Mining, this: Round, documents: Ints | None) -> ScoredRows:
    """The columns of the rows that a selection decides on, as arrays."""
    encoded = table["query_id"].combine_chunks().dictionary_encode()
    codes = np.asarray(encoded.indices.to_numpy(), np.int64)
    positive = table["positive"].to_numpy()
    reranker = numbers(table["reranker_score"])
    first_stage = bounded(
        codes,
        numbers(table["first_stage_score"]),
        ranked=table["rank"].is_valid().to_numpy(),
        positive=positive,
    )
    by_reranker = this.weight > 0 and not np.isnan(reranker).all()
    scored = ~np.isnan(reranker) if by_reranker else np.ones(len(codes), bool)
    assert (scored | said_of_rows(table, RELEVANT))[positive].all(), "a positive was not scored"
    score = mining_score(
        codes[scored],
        first_stage[scored],
        reranker[scored] if by_reranker else None,
        weight=this.weight,
        margin=margin_unit(config, this) * config.guard.margin,
        first_stage_margin=config.guard.first_stage_margin,
    )
    judged = table["grade"].is_valid().to_numpy()
    query_ids = encoded.dictionary.to_pylist()
    retrieved = pc.not_equal(table["pool"], JUDGED).to_numpy()
    rows = ScoredRows(
        codes, query_ids, positive, judged, retrieved, first_stage, scored, score, documents
    )
    return replace(rows, retrieved=retrieved & ~rows.siblings(positive))


def margin_unit(config: Mining, this: Round) -> float:
    """Absolute margins are in logits over the temperature; shares of a score have no unit."""
    return this.temperature if config.guard.rule == "margin" else 1.0


def bounded(codes: Ints, scores: Floats, *, ranked: Any, positive: Any) -> Floats:
    """First-stage scores, with a bound where another pool found what the first stage did not.

    Such a candidate scores at most what the last one does that the first stage ranked, and gets
    that: a guard then refuses it wherever it may be above its positive, most of all where the
    first stage missed the positive itself, whose exact score lies below the bound. Without any
    ranked candidate the query's lowest score stands in. A positive without a score (one by verdict)
    stays without, because a bound would lift what margins are measured from.
    """
    known = ~np.isnan(scores)
    last = _lowest(codes, scores, known & ranked)
    last = np.where(np.isnan(last), _lowest(codes, scores, known), last)
    return np.where(known | positive, scores, last[codes])


def _lowest(codes: Ints, scores: Floats, rows: Any) -> Floats:
    """The lowest score of some rows by query; NaN of none."""
    found = np.full(int(codes.max(initial=-1)) + 1, np.inf)
    np.minimum.at(found, codes[rows], scores[rows])
    return np.where(np.isinf(found), np.nan, found)


def numbers(column: pa.ChunkedArray) -> Any:
    """A column as float64, NaN where it is null."""
    return column.to_numpy().astype(np.float64)
