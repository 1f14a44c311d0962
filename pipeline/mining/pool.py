"""The pool of candidates that a round's queries are mined from."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.config import Mining

KEYS = ["query_id", "passage_id"]
FIRST_STAGE = "first_stage"


@dataclass(frozen=True)
class Source:
    """Candidates of one retriever: a name, the ranks that are taken and those that are scored."""

    name: str
    candidates: pa.Table
    min_rank: int
    size: int
    scored: int


def sources(candidates: pa.Table, others: Sequence[pa.Table], config: Mining) -> list[Source]:
    """The first stage's candidates, and those of every other pool of the config."""
    first = Source(FIRST_STAGE, candidates, config.min_rank, config.window_size, config.pool_size)
    more = [
        Source(pool_name(number, config), table, pool.min_rank, pool.size, pool.size)
        for number, (pool, table) in enumerate(zip(config.more_pools, others, strict=True), 1)
    ]
    return [first, *more]


def pool_name(number: int, config: Mining) -> str:
    """How the selection calls pool ``number``, from 1: by its retriever, or as a run file."""
    source = config.more_pools[number - 1].source
    return f"pool {number} ({source})" if "/" not in source else f"pool {number} (run file)"


def window(found: Sequence[Source], query_ids: pa.Array) -> pa.Table:
    """The candidates of some queries that may become negatives, each once.

    Columns: query_id, passage_id, ``pool`` (names of all sources that found it, joined by " + "),
    ``scored`` (whether the reranker scores it), and the first stage's ``rank`` and
    ``first_stage_score``, null where the first stage does not have it at all.
    """
    taken = [_taken(source, query_ids) for source in found]
    if len(taken) == 1:
        return taken[0].rename_columns([*_WINDOW, "rank", "first_stage_score"]).sort_by(_ORDER)
    first = found[0].candidates
    known = first.filter(pc.is_in(first["query_id"], value_set=query_ids))
    known = known.select([*KEYS, "rank", "score"]).rename_columns(
        [*KEYS, "rank", "first_stage_score"]
    )
    rows = _merged(pa.concat_tables(rows.select(_WINDOW) for rows in taken))
    return rows.join(known, keys=KEYS, join_type="left outer").sort_by(_ORDER)


_WINDOW = [*KEYS, "pool", "scored"]
_ORDER = [("query_id", "ascending"), ("rank", "ascending"), ("passage_id", "ascending")]


def _taken(source: Source, query_ids: pa.Array) -> pa.Table:
    rows = source.candidates
    ranks = rows["rank"]
    last = source.min_rank + source.size - 1
    within = pc.and_(pc.greater_equal(ranks, source.min_rank), pc.less_equal(ranks, last))
    rows = rows.filter(pc.and_(within, pc.is_in(rows["query_id"], value_set=query_ids)))
    scored = pc.less_equal(rows["rank"], source.min_rank + source.scored - 1)
    pool = pa.repeat(source.name, rows.num_rows)
    return pa.table(
        {
            "query_id": rows["query_id"],
            "passage_id": rows["passage_id"],
            "pool": pool,
            "scored": scored,
            "rank": rows["rank"],
            "score": rows["score"],
        }
    )


def _merged(rows: pa.Table) -> pa.Table:
    """One row a pair; its sources in the order in which they were given."""
    grouped = rows.group_by(KEYS, use_threads=False).aggregate(
        [("pool", "list"), ("scored", "any")]
    )
    return pa.table(
        {
            "query_id": grouped["query_id"],
            "passage_id": grouped["passage_id"],
            "pool": pc.binary_join(grouped["pool_list"], " + "),
            "scored": grouped["scored_any"],
        }
    )


def pairs_to_score(rows: pa.Table, positives: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The window's pairs that are scored, and those of the positives that it lacks."""
    queries = pc.unique(rows["query_id"])
    positives = positives.filter(pc.is_in(positives["query_id"], value_set=queries)).select(KEYS)
    pairs = rows.filter(rows["scored"]).select(KEYS)
    missing = positives.join(pairs, keys=KEYS, join_type="left anti")
    ordered = missing.sort_by([("query_id", "ascending"), ("passage_id", "ascending")])
    return pairs, ordered.select(KEYS).cast(pairs.schema)
