"""Whether gate has the queries that a promotion asks for, which is known before any work."""

import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.config import Config
from strop.pipeline.errors import counted


def too_small_a_gate(queries: pa.Table, qrels: pa.Table, config: Config) -> str:
    """What a data set's gate has and what it should have; empty where it has that.

    Counted are the queries that have a positive: those that a metric is over.
    """
    wanted = config.decision.min_gate_queries
    gate = queries.filter(pc.equal(queries["split"].cast(pa.string()), "gate"))["query_id"]
    positive = pc.unique(qrels.filter(pc.greater(qrels["grade"], 0))["query_id"])
    count = int(pc.sum(pc.is_in(gate, value_set=positive)).as_py() or 0)
    if count >= wanted:
        return ""
    has = counted(count, "judged queries")
    return f"gate has {has}, decision.min_gate_queries asks for {wanted:,}"


def gate_warning(queries: pa.Table, qrels: pa.Table, config: Config) -> str:
    """The same with what follows from it, for who has not begun yet."""
    lacking = too_small_a_gate(queries, qrels, config)
    return f"{lacking}: no round of this run can become champion" if lacking else ""
