"""The queries of a round, and the pool of candidates that each of them is mined from."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.config import Mining
from strop.pipeline.seeds import generator


def round_queries(
    queries: pa.Table, qrels: pa.Table, *, round_number: int, limit: int | None, seed: int
) -> pa.Array:
    """Ids of the round's training queries, fresh ones first.

    The train queries with a positive are put in one seeded order; round ``r`` takes the ``r``-th
    stretch of ``limit`` queries, and starts again when they are used up.
    """
    positives = qrels.filter(pc.greater(qrels["grade"], 0))
    eligible = queries.filter(
        pc.and_(
            pc.equal(queries["split"], "train"),
            pc.is_in(queries["query_id"], value_set=pc.unique(positives["query_id"])),
        )
    )["query_id"].combine_chunks()
    count = len(eligible)
    if limit is None or limit >= count:
        return eligible
    order = generator(seed, "round queries").permutation(count)
    places = (np.arange(limit) + (round_number - 1) * limit) % count
    return eligible.take(pa.array(np.sort(order[places])))


def window_rows(candidates: pa.Table, query_ids: pa.Array, config: Mining) -> pa.Table:
    """The candidates of some queries within the ranks that negatives may come from."""
    return _ranks(
        candidates.filter(pc.is_in(candidates["query_id"], value_set=query_ids)),
        config.min_rank,
        config.window_size,
    )


def pool_rows(window: pa.Table, config: Mining) -> pa.Table:
    """The rows of a window that the reranker scores."""
    return _ranks(window, config.min_rank, config.pool_size)


def _ranks(rows: pa.Table, first: int, count: int) -> pa.Table:
    within = pc.and_(
        pc.greater_equal(rows["rank"], first), pc.less_equal(rows["rank"], first + count - 1)
    )
    return rows.filter(within)


def pairs_to_score(pool: pa.Table, qrels: pa.Table) -> pa.Table:
    """The pool's pairs and the positives that the pool lacks: what the last reranker scores."""
    queries = pc.unique(pool["query_id"])
    positives = qrels.filter(
        pc.and_(pc.greater(qrels["grade"], 0), pc.is_in(qrels["query_id"], value_set=queries))
    ).select(["query_id", "passage_id"])
    pairs = pool.select(["query_id", "passage_id"])
    missing = positives.join(pairs, keys=["query_id", "passage_id"], join_type="left anti")
    ordered = missing.sort_by([("query_id", "ascending"), ("passage_id", "ascending")])
    found = ordered.select(["query_id", "passage_id"]).cast(pairs.schema)
    return pa.concat_tables([pairs, found])
