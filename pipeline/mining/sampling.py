"""Sampling: which allowed rows of each query become its negatives, pool by pool."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import SELECTION
from strop.pipeline.arrays import Floats, Ints
from strop.pipeline.config import Mining
from strop.pipeline.encoded import encoded, indices
from strop.pipeline.mining.near_duplicates import WordSets, nearly_repeats
from strop.pipeline.mining.pool import pool_name
from strop.pipeline.mining.samplers import SAMPLERS, Draw, in_batch_count
from strop.pipeline.seeds import generator

IN_BATCH = "in_batch"


@dataclass(frozen=True)
class Sampling:
    """The rows to sample from, in parallel columns sorted by query."""

    codes: Ints
    query_ids: list[str]
    scores: Floats
    first_stage: Floats
    reference: Floats
    pool: pa.ChunkedArray
    passage_ids: pa.ChunkedArray
    text_keys: Ints
    positive: Any
    documents: Ints | None = None
    words: WordSets | None = None


@dataclass(frozen=True)
class Drawn:
    """The numbers of the sampled rows with their samplers, and rows of passages from elsewhere."""

    rows: Ints
    samplers: list[str]
    added: pa.Table


def sample(
    from_rows: Sampling,
    allowed: Any,
    counts: Ints,
    hardness: float,
    config: Mining,
    *,
    seed: int,
    number: int,
) -> Drawn:
    """Draw ``counts`` negatives of each query from its allowed rows; short pools stay short."""
    starts = np.searchsorted(from_rows.codes, np.arange(len(from_rows.query_ids) + 1))
    members = _memberships(from_rows.pool, config)
    others = _Others.of(from_rows, config) if _in_batch(config) else None
    rows, samplers, added = [], [], []
    for code, query_id in enumerate(from_rows.query_ids):
        span = np.arange(starts[code], starts[code + 1])
        random = generator(seed, "mine", number, query_id)
        free = span[allowed[span]]
        chosen, names, elsewhere = _draw(
            from_rows, free, members, int(counts[code]), hardness, config, random
        )
        rows.append(chosen)
        samplers += names
        if others and elsewhere:
            places = others.draw(span, elsewhere, random)
            added.append((np.full(len(places), code), places))
    flat = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    return Drawn(flat, samplers, _added(from_rows, added))


def _draw(
    from_rows: Sampling,
    free: Ints,
    members: list[tuple[float, Any]],
    count: int,
    hardness: float,
    config: Mining,
    random: np.random.Generator,
) -> tuple[Ints, list[str], int]:
    """First every pool's quota, then what is left of the count from all rows.

    The number of places left to positives of other queries comes last; it is a share of what the
    pools' quotas leave.
    """
    taken: list[Ints] = []
    names: list[str] = []
    whole = _without_in_batch(config) if members else config
    for quota, member in members:
        own = free[member[free]]
        wanted = min(round(count * quota), count - sum(map(len, taken)))
        rows, used = _sampled(from_rows, own, wanted, hardness, whole, random)
        taken.append(rows)
        names += used
        free = np.setdiff1d(free, rows)
    left = count - sum(map(len, taken))
    rows, used = _sampled(from_rows, free, left, hardness, config, random)
    return np.concatenate([*taken, rows]), names + used, in_batch_count(left, config)


def _without_in_batch(config: Mining) -> Mining:
    return config.model_copy(update={"quotas": config.quotas.model_copy(update={"in_batch": 0.0})})


def _sampled(
    from_rows: Sampling,
    rows: Ints,
    count: int,
    hardness: float,
    config: Mining,
    random: np.random.Generator,
) -> tuple[Ints, list[str]]:
    draw = Draw(
        scores=from_rows.scores[rows],
        first_stage_scores=from_rows.first_stage[rows],
        positive_score=float(from_rows.reference[rows[0]]) if len(rows) else np.nan,
        count=count,
        hardness=hardness,
        config=config,
        random=random,
    )
    chosen, names = SAMPLERS[config.sampler](draw)
    return rows[chosen], names


def _memberships(pool: pa.ChunkedArray, config: Mining) -> list[tuple[float, Any]]:
    """The quota of every pool that has one, and which rows it found."""
    found = []
    for number, other in enumerate(config.more_pools, 1):
        if other.quota is not None:
            names = encoded(pool)
            inside = pc.match_substring(names.dictionary, pool_name(number, config))
            found.append((other.quota, inside.to_numpy(zero_copy_only=False)[indices(names)]))
    return found


def draws_apart(config: Mining) -> bool:
    """Whether positives of other queries are drawn, and held against near duplicates."""
    return _in_batch(config) and config.guard.near_duplicate is not None


def _in_batch(config: Mining) -> bool:
    return config.sampler == "mixed" and config.quotas.in_batch > 0


@dataclass(frozen=True)
class _Others:
    """The positives of all queries of the round, by rising passage: negatives for the others.

    What a query may not have of them is found in sorted columns, so that a draw costs as much
    whether the round has a thousand queries or a million.
    """

    rows: Ints
    passages: "_Sorted"
    keys: "_Sorted"
    documents: "_Sorted"
    row_passages: Ints
    row_keys: Ints
    row_positive: Any
    row_documents: Ints
    words: WordSets | None
    near: float

    @staticmethod
    def of(from_rows: Sampling, config: Mining) -> "_Others":
        passages = from_rows.passage_ids.combine_chunks().dictionary_encode().indices.to_numpy()
        keys = from_rows.text_keys
        _, first = np.unique(np.where(from_rows.positive, passages, -1), return_index=True)
        rows = first[from_rows.positive[first]]
        positive = np.asarray(from_rows.positive)
        documents = passages if from_rows.documents is None else from_rows.documents
        near = config.guard.near_duplicate
        return _Others(
            rows,
            _Sorted.of(passages[rows]), _Sorted.of(keys[rows]), _Sorted.of(documents[rows]),
            passages, keys, positive, documents,
            None if near is None else from_rows.words, near or 1.0,
        )  # fmt: skip

    def draw(self, span: Ints, count: int, random: np.random.Generator) -> Ints:
        """Rows of positives that are neither in the query's window nor its positives' repeats.

        Nor are they of the documents that its positives are of. Those that nearly repeat one of its
        positives are told when they are drawn, and others take their places.
        """
        own = span[self.row_positive[span]]
        barred = np.unique(
            np.concatenate(
                [
                    self.passages.places(self.row_passages[span]),
                    self.keys.places(self.row_keys[own]),
                    self.documents.places(self.row_documents[own]),
                ]
            )
        )
        chosen = places_besides(len(self.rows), barred, count, random)
        while (near := self._nearly_repeat(self.rows[chosen], own)).any():
            barred = np.union1d(barred, chosen)
            more = places_besides(len(self.rows), barred, int(near.sum()), random)
            chosen = np.concatenate([chosen[~near], more])
        rows: Ints = self.rows[np.sort(chosen)]
        return rows

    def _nearly_repeat(self, rows: Ints, own: Ints) -> Any:
        """Which rows have nearly the words of one of the query's own positives."""
        if self.words is None:
            return np.zeros(len(rows), bool)
        return nearly_repeats(self.words, rows, own, self.near)


@dataclass(frozen=True)
class _Sorted:
    """A column's values in order, and the place that each of them has in the column."""

    values: Ints
    order: Ints

    @staticmethod
    def of(column: Ints) -> "_Sorted":
        order = np.argsort(column, kind="stable")
        return _Sorted(column[order], order)

    def places(self, wanted: Ints) -> Ints:
        """The places of all values that are among the wanted ones, in any order."""
        starts = np.searchsorted(self.values, wanted)
        counts = np.searchsorted(self.values, wanted, side="right") - starts
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        found: Ints = self.order[np.repeat(starts, counts) + within]
        return found


def places_besides(total: int, barred: Ints, count: int, random: np.random.Generator) -> Ints:
    """``count`` places at random, or all there are, of ``total`` less the (sorted) barred ones."""
    free = total - len(barred)
    chosen = random.choice(free, min(count, free), replace=False, shuffle=False)
    places: Ints = chosen + np.searchsorted(barred - np.arange(len(barred)), chosen, side="right")
    return places


def _added(from_rows: Sampling, added: list[tuple[Ints, Ints]]) -> pa.Table:
    """Selection rows of passages from elsewhere, in the order of their queries."""
    if not added:
        return SELECTION.empty_table()
    codes = np.concatenate([code for code, _ in added])
    places = np.concatenate([place for _, place in added])
    count = len(codes)
    columns = {
        "query_id": pa.array(from_rows.query_ids).take(pa.array(codes)),
        "passage_id": from_rows.passage_ids.take(pa.array(places)).cast(pa.string()),
        "decision": _constant("negative", count),
        "rule": _constant("sampled", count),
        "sampler": _constant(IN_BATCH, count),
        "pool": _constant(IN_BATCH, count),
        "weight": np.ones(count, np.float32),
    }
    return pa.table(
        {field.name: columns.get(field.name, pa.nulls(count, field.type)) for field in SELECTION},
        schema=SELECTION,
    )


def _constant(value: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([value]))
