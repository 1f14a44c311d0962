"""The pool of a round: which queries it mines, and which candidates of theirs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.config import Config
from strop.pipeline.mining.cross_fitting import QueryPlan, plan_queries
from strop.pipeline.mining.pool import sources, window


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


def window_of_round(store: Store, pool: RoundPool, config: Config, number: int) -> pa.Table:
    """The candidates that round ``number`` may take negatives from; ``scored`` tells the pool."""
    plan = query_plan(store, pool.dataset, config)
    query_ids = plan.of_round(number)
    if pool.fold is not None:
        query_ids = query_ids.filter(pc.is_in(query_ids, value_set=plan.fold(pool.fold)))
    others = [store.table(ref, "candidates") for ref in pool.others]
    found = sources(store.table(pool.candidates, "candidates"), others, config.mining)
    rows = window(found, query_ids)
    if not pool.whole:
        return rows
    every = pa.array(np.ones(rows.num_rows, bool))
    return rows.set_column(rows.schema.get_field_index("scored"), "scored", every)


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
