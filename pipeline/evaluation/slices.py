"""Slices: where a ranking gains and loses, by what is known of a query before it is reranked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from strop.artifacts.schemas import SLICES
from strop.pipeline.evaluation.field_slices import Cut, field_cuts, thirds
from strop.pipeline.evaluation.metrics import Judgements, is_positive
from strop.pipeline.evaluation.ranking import FloatArray, IntArray
from strop.pipeline.evaluation.results import MetricValues, metric_values
from strop.pipeline.evaluation.significance import bootstrap_interval, cluster_codes
from strop.pipeline.seeds import generator

RANKS = ((1, 1), (2, 5), (6, 10), (11, 20), (21, 50), (51, 100), (101, 10_000))
NEAR = 0.5
"""A candidate is near the positive down to so many standard deviations of its query's scores."""
MISSED = "not among the candidates"


@dataclass(frozen=True)
class QueryFacts:
    """What slices are cut by, one value a judged query, in the order of ``query_ids``.

    ``rank`` is the first stage's of the best positive, 0 where it is missed; ``difficulty`` the
    share of other candidates that the first stage scores near that positive or above it.
    """

    query_ids: tuple[str, ...]
    num_words: IntArray
    num_positives: IntArray
    rank: IntArray
    difficulty: FloatArray
    cuts: tuple[Cut, ...] = ()
    """Slices by the queries' fields."""


def query_facts(
    ranking: pa.Table,
    queries: pa.Table,
    judgements: Judgements,
    *,
    fields: pa.Table | None = None,
    asked: Sequence[str] | None = None,
) -> QueryFacts:
    """The facts of the judged queries, from the first stage's columns of a ranking alone.

    ``fields`` is a ``query_fields`` table, and ``asked`` names those that cut slices; None takes
    all of few values.
    """
    ids = pa.array(judgements.query_ids, pa.string())
    texts = queries["text"].take(pc.index_in(ids, value_set=queries["query_id"])).to_pylist()
    grades = [judgements.grades[query_id] for query_id in judgements.query_ids]
    rows = ranking.filter(pc.is_in(ranking["query_id"], value_set=ids))
    rank, difficulty = _first_stage_facts(rows, ids, is_positive(rows, judgements))
    return QueryFacts(
        query_ids=judgements.query_ids,
        num_words=np.array([len(text.split()) for text in texts], np.int64),
        num_positives=np.array([sum(g > 0 for g in found.values()) for found in grades], np.int64),
        rank=rank,
        difficulty=difficulty,
        cuts=tuple(field_cuts(judgements.query_ids, queries, fields, asked)),
    )


def slices_table(
    per_query: pa.Table,
    facts: QueryFacts,
    *,
    round_: int,
    split: str,
    ranking: str,
    metric: str,
    seed: int,
    samples: int,
) -> pa.Table:
    """``SLICES`` rows: a ranking's mean, and its change against the first stage, in each slice.

    Every kind of slice splits all judged queries, or is left out; a slice of the missed ones shows
    what no reranker of these candidates can win.
    """
    ours = metric_values(per_query, split=split, ranking=ranking, metric=metric)
    base = metric_values(per_query, split=split, ranking="first_stage", metric=metric)
    values, first_stage = (_in_order(side, facts.query_ids) for side in (ours, base))
    places = np.asarray(pc.index_in(pa.array(facts.query_ids), value_set=ours.query_ids))
    groups = ours.group_ids.take(pa.array(places))
    rows = []
    for by, codes, names in _cuts(facts):
        found = np.unique(codes)
        for code in found if len(found) > 1 else ():
            label, chosen = names[int(code)], codes == code
            changes = values[chosen] - first_stage[chosen]
            clusters = cluster_codes(groups.filter(pa.array(chosen)))
            rng = generator(seed, "slices", by, label)
            low, high = bootstrap_interval(changes, clusters, rng=rng, samples=samples)
            rows.append(
                {
                    "round": round_,
                    "split": split,
                    "ranking": ranking,
                    "metric": metric,
                    "by": by,
                    "slice": label,
                    "n": int(chosen.sum()),
                    "value": float(values[chosen].mean()),
                    "first_stage_value": float(first_stage[chosen].mean()),
                    "difference": float(changes.mean()),
                    "ci_low": low,
                    "ci_high": high,
                }
            )
    return pa.Table.from_pylist(rows, schema=SLICES)


def _first_stage_facts(
    rows: pa.Table, ids: pa.Array, positive: NDArray[np.bool_]
) -> tuple[IntArray, FloatArray]:
    codes = np.asarray(pc.index_in(rows["query_id"], value_set=ids), np.int64)
    ranks = rows["first_stage_rank"].to_numpy().astype(np.int64)
    scores = rows["first_stage_score"].to_numpy().astype(np.float64)
    beyond = np.iinfo(np.int64).max
    best = np.full(len(ids), beyond)
    np.minimum.at(best, codes[positive], ranks[positive])
    reference = np.full(len(ids), np.nan)
    is_best = positive & (ranks == best[codes])
    reference[codes[is_best]] = scores[is_best]
    sizes = np.maximum(np.bincount(codes, minlength=len(ids)), 1)
    means = np.bincount(codes, scores, minlength=len(ids)) / sizes
    squares = np.bincount(codes, (scores - means[codes]) ** 2, minlength=len(ids))
    bar = reference - NEAR * np.sqrt(squares / sizes)
    near = ~positive & (scores >= bar[codes])
    others = np.maximum(np.bincount(codes[~positive], minlength=len(ids)), 1)
    difficulty = np.bincount(codes[near], minlength=len(ids)) / others
    return np.where(best == beyond, 0, best), np.where(best == beyond, np.nan, difficulty)


def _cuts(facts: QueryFacts) -> Iterator[Cut]:
    """Each kind of slice: a code a query, and the names of the codes; they rise with the value."""
    yield "query length", *thirds(facts.num_words.astype(np.float64), "{0:.0f}", " words")
    yield "positives", np.minimum(facts.num_positives, 3), {1: "1", 2: "2", 3: "3 or more"}
    starts = [low for low, _ in RANKS]
    codes = np.searchsorted(starts, facts.rank, side="right") - 1
    yield "first-stage rank", np.where(facts.rank == 0, len(RANKS), codes), _rank_names()
    found = ~np.isnan(facts.difficulty)
    known, names = thirds(facts.difficulty[found], "{0:.0%}", " near the positive")
    hard = np.full(len(found), len(names), np.int64)
    hard[found] = known
    yield "difficulty", hard, {**names, len(names): MISSED}
    yield from facts.cuts


def _rank_names() -> dict[int, str]:
    names = [str(low) if low == high else f"{low}–{high}" for low, high in RANKS]
    return dict(enumerate([*names, MISSED]))


def _in_order(side: MetricValues, query_ids: tuple[str, ...]) -> FloatArray:
    places = np.asarray(pc.index_in(pa.array(query_ids), value_set=side.query_ids))
    return np.asarray(side.values[places], np.float64)
