"""The pool of a round: which queries it mines, and which candidates of theirs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.config import Config
from strop.pipeline.encoded import places
from strop.pipeline.mining.cross_fitting import QueryPlan, plan_queries
from strop.pipeline.mining.pool import KEYS, Source, sources, window
from strop.pipeline.query_blocks import in_blocks

Made = TypeVar("Made")


@dataclass(frozen=True)
class RoundPool:
    """Where a round's queries and candidates come from; ``others`` are those of more pools.

    ``fold`` takes the queries of one fold only, ``whole`` scores the window and not the pool alone.
    """

    dataset: ArtifactRef
    candidates: ArtifactRef
    others: tuple[ArtifactRef, ...] = ()
    fold: int | None = None
    whole: bool = False

    def refs(self) -> dict[str, ArtifactRef]:
        """The inputs by role."""
        others = {f"pool_{number}": ref for number, ref in enumerate(self.others, start=1)}
        return {"dataset": self.dataset, "candidates": self.candidates, **others}


def query_plan(store: Store, dataset: ArtifactRef, config: Config) -> QueryPlan:
    """How the rounds of a run share the data set's train queries."""
    return plan_queries(store.table(dataset, "queries"), store.table(dataset, "qrels"), config)


def windows_of_round(
    store: Store,
    pool: RoundPool,
    config: Config,
    number: int,
    more: Sequence[pa.Table],
    make: Callable[..., Made],
) -> Iterator[Made]:
    """What is made of the round's windows, a block of queries each, by rising query id.

    ``make`` gets the candidates that round ``number`` may take negatives from, where ``scored``
    tells the pool, and the rows of the same queries of each of the tables ``more``.
    """
    plan = query_plan(store, pool.dataset, config)
    query_ids = plan.of_round(number)
    if pool.fold is not None:
        query_ids = query_ids.filter(pc.is_in(query_ids, value_set=plan.fold(pool.fold)))
    found = _read_sources(store, pool, config, query_ids)

    def make_block(ids: pa.Array, tables: list[pa.Table]) -> Made:
        parts = zip(found, tables[: len(found)], strict=True)
        rows = window([replace(source, candidates=table) for source, table in parts], ids)
        if pool.whole:
            every = pa.array(np.ones(rows.num_rows, bool))
            rows = rows.set_column(rows.schema.get_field_index("scored"), "scored", every)
        return make(rows, *tables[len(found) :])

    held = [*(source.candidates for source in found), *more]
    return in_blocks(query_ids.take(pc.sort_indices(query_ids)), held, make_block)


def _read_sources(
    store: Store, pool: RoundPool, config: Config, query_ids: pa.Array
) -> list[Source]:
    """The candidates of these queries, as far as a window reads them."""

    def read(ref: ArtifactRef, last_rank: int | None) -> pa.Table:
        def keep(rows: pa.Table) -> Any:
            asked = pa.array(places(rows["query_id"], query_ids) >= 0)
            if last_rank is None:
                return asked
            return pc.and_(asked, pc.less_equal(rows["rank"], last_rank))

        names = [*KEYS, "rank", "score"]
        return store.rows(ref, "candidates", keep, columns=names, encoded=KEYS)

    mining = config.mining
    # Of what other pools find, the first stage's rank and score are told wherever it has them.
    last = None if pool.others else mining.min_rank + mining.window_size - 1
    ends = [other.min_rank + other.size - 1 for other in mining.more_pools]
    others = [read(ref, end) for ref, end in zip(pool.others, ends, strict=True)]
    return sources(read(pool.candidates, last), others, mining)


def pool_parameters(store: Store, pool: RoundPool, config: Config, number: int) -> dict[str, Any]:
    """The identity parameters that decide which pairs a round scores."""
    mining = config.mining
    more = [[other.min_rank, other.size] for other in mining.more_pools]
    return {
        "min_rank": mining.min_rank,
        "scored": mining.window_size if pool.whole else mining.pool_size,
        "seed": config.seed,
        **query_plan(store, pool.dataset, config).parameters(number),
        **({"fold": pool.fold} if pool.fold is not None else {}),
        **({"more_pools": more} if more else {}),
    }
