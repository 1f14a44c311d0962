"""Reciprocal-rank fusion: several first stages' candidates as one, by their ranks alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from strop.artifacts.schemas import CANDIDATES, SCORES
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.ranking import IntArray, encode, rank_within
from strop.pipeline.query_blocks import KEYS, in_blocks

COLUMNS = [*KEYS, "rank", "split"]
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class FirstStageTables:
    """What one first stage found: its candidates, and the scores of the judged positives.

    Of the candidates `COLUMNS` are read, whose ids may be encoded.
    """

    candidates: pa.Table
    positives: pa.Table


def fuse_ranks(
    lists: Sequence[FirstStageTables],
    write: Callable[[pa.Table], None],
    *,
    constant: int,
    depth: int,
) -> pa.Table:
    """Candidates by the sum over the lists of 1 / (``constant`` + rank), at most ``depth`` a query.

    They go to ``write``, a block of queries at a time; returned are the positives' scores.

    A passage that a list lacks gets nothing from it; so does a positive, which has a score of 0
    where all lists lack it. Equal scores are ordered by the better of the ranks, then by passage
    id. Queries come in the order of the first list that has them. Raises `InputError` for fewer
    than two lists.

    Source: Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and
    individual rank learning methods", SIGIR 2009.
    """
    if len(lists) < 2:
        raise InputError(f"rank fusion of {len(lists)} list of candidates: expected two or more")
    judged = pa.concat_tables(part.positives for part in lists)
    judged = judged.select(KEYS).append_column("place", pa.array(np.arange(len(judged))))
    held = [*(part.candidates for part in lists), judged]

    def fuse_block(_: pa.Array, parts: list[pa.Table]) -> pa.Table:
        candidates, positives = _fused(parts[:-1], parts[-1], constant, depth)
        write(candidates)
        return positives

    query_ids = pc.unique(pa.chunked_array([_queries(table) for table in held]))
    scored = pa.concat_tables([*in_blocks(query_ids, held, fuse_block), _SCORED.empty_table()])
    return scored.sort_by("place").select(SCORES.names).cast(SCORES)


_SCORED = SCORES.append(pa.field("place", pa.int64()))


def _queries(rows: pa.Table) -> pa.Array:
    """The queries that rows are of, in order of appearance."""
    found = pc.unique(rows["query_id"])
    return found.dictionary.take(found.indices) if pa.types.is_dictionary(found.type) else found


def _fused(
    lists: list[pa.Table], judged: pa.Table, constant: int, depth: int
) -> tuple[pa.Table, pa.Table]:
    """The candidates of some queries, and the scores of their positives."""
    rows = pa.concat_tables(lists).unify_dictionaries()
    pairs, num_rows = _pair_codes(rows, judged), rows.num_rows
    contributions = 1.0 / (constant + rows["rank"].to_numpy().astype(np.float64))
    # Stored in float32, and ranked as stored: sums of the same terms tie in whatever order.
    scores = np.bincount(
        pairs[:num_rows], weights=contributions, minlength=int(pairs.max(initial=-1)) + 1
    ).astype(np.float32)
    candidates = _ranked(rows, pairs[:num_rows], scores, depth)
    return candidates, _scored(judged, pairs[num_rows:], scores)


def _pair_codes(rows: pa.Table, judged: pa.Table) -> IntArray:
    """One code a (query, passage) pair, over the rows of both tables."""
    keys = pa.concat_tables(table.select(["query_id", "passage_id"]) for table in (rows, judged))
    query_codes, _ = encode(keys["query_id"])
    passage_codes, passage_ids = encode(keys["passage_id"])
    both = query_codes * len(passage_ids) + passage_codes
    codes: IntArray = np.unique(both, return_inverse=True)[1].astype(np.int64)
    return codes


def _ranked(rows: pa.Table, pairs: IntArray, scores: Weights, depth: int) -> pa.Table:
    """The first row of every pair, with its fused score and rank, in order of query and rank."""
    best_ranks = np.full(len(scores), np.iinfo(np.int32).max, np.int32)
    np.minimum.at(best_ranks, pairs, rows["rank"].to_numpy())
    found, first_rows = np.unique(pairs, return_index=True)
    order = np.argsort(first_rows)
    first_rows, found = first_rows[order], found[order]
    distinct = rows.take(pa.array(first_rows))
    query_codes, _ = encode(distinct["query_id"])
    places = _alphabetical(distinct["passage_id"])
    ranks = rank_within(query_codes, scores[found], best_ranks[found], places)
    kept = np.flatnonzero(ranks <= depth)
    order = kept[np.lexsort((ranks[kept], query_codes[kept]))]
    columns = {
        "query_id": distinct["query_id"],
        "passage_id": distinct["passage_id"],
        "rank": pa.array(ranks),
        "score": pa.array(scores[found]),
        "source": pa.repeat("fused", len(ranks)).dictionary_encode(),
        "split": distinct["split"],
    }
    return pa.table(columns).take(pa.array(order)).cast(CANDIDATES)


def _alphabetical(ids: pa.ChunkedArray) -> IntArray:
    """The place of each id among all of them in alphabetical order; equal ids share a place."""
    return np.asarray(pc.rank(ids, tiebreaker="dense"), dtype=np.int64)


def _scored(judged: pa.Table, pairs: IntArray, scores: Weights) -> pa.Table:
    """Every judged positive once, with its fused score."""
    first_rows = np.sort(np.unique(pairs, return_index=True)[1])
    kept = judged.take(pa.array(first_rows))
    kept = kept.append_column("score", pa.array(scores[pairs[first_rows]]))
    return kept.select(_SCORED.names).cast(_SCORED)
