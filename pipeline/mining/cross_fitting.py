"""Which queries a round mines, so that its miner has never trained on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.pipeline.seeds import generator

Strategy = Literal["same", "fresh", "halves", "folds"]

ENOUGH_QUERIES = 200
"""Fewer fresh queries a round than this teach too little: the queries take turns instead."""


@dataclass(frozen=True)
class QueryPlan:
    """The training queries in one seeded order, and how the rounds share them.

    ``same``: every round takes the first ``limit``. ``fresh``: round ``r`` takes the ``r``-th
    stretch of ``limit``. ``halves``: odd and even rounds take turns. ``folds``: every round takes
    the same ones, each of ``folds`` folds mined by a reranker that was trained on the others.
    """

    ordered: pa.Array
    strategy: Strategy
    limit: int
    folds: int

    def of_round(self, number: int) -> pa.Array:
        """Ids of the round's queries."""
        count = len(self.ordered)
        if self.strategy == "halves":
            places = np.arange((number - 1) % 2, count, 2)[: self.limit]
        else:
            stretch = number - 1 if self.strategy == "fresh" else 0
            places = (np.arange(self.limit) + stretch * self.limit) % count
        return self.ordered.take(pa.array(places))

    def miner_of(self, number: int, accepted: Sequence[int]) -> int:
        """The last of the accepted rounds before a round whose reranker may mine it, or 0.

        Where halves take turns and a round was rejected, the last accepted one may have trained on
        the very half that is mined now: then it is the last one of the other half.
        """
        turns = (number - 1) % 2
        may = [
            earlier
            for earlier in accepted
            if earlier < number and (self.strategy != "halves" or (earlier - 1) % 2 != turns)
        ]
        return max(may, default=0)

    def parameters(self, number: int) -> dict[str, Any]:
        """What the choice of a round's queries depends on, besides the data set and the seed."""
        turn = {"fresh": number, "halves": (number - 1) % 2}.get(self.strategy, 0)
        folds = {"folds": self.folds} if self.strategy == "folds" else {}
        return {"queries": self.strategy, "turn": turn, "limit": self.limit, **folds}

    def fold(self, number: int) -> pa.Array:
        """Ids of the queries of fold ``number``, from 1."""
        return self.ordered.take(pa.array(np.arange(number - 1, len(self.ordered), self.folds)))


def plan_queries(queries: pa.Table, qrels: pa.Table, config: Config) -> QueryPlan:
    """How the train queries with a positive are shared out among the rounds.

    Raises `InputError` for a single query where it should be mined by who never trained on it.
    """
    eligible = train_queries(queries, qrels)
    count, mining = len(eligible), config.mining
    random = generator(config.seed, "round queries")
    ordered = eligible.take(pa.array(random.permutation(count)))
    limit = min(mining.queries_per_round or count, count)
    strategy: Strategy = "same"
    if _fresh_suffice(count, config):
        strategy = "fresh"
        limit = mining.queries_per_round or count // config.rounds
    elif mining.cross_fit and mining.miner == "last_round":
        if count < 2:
            raise InputError(
                f"mining.cross_fit = true: takes turns with the train queries, of which {count} "
                "has a positive; expected 2 at least, or mining.cross_fit = false"
            )
        strategy = "folds"
        if _halves_suffice(config):
            strategy, limit = "halves", min(limit, count // 2)
    return QueryPlan(ordered, strategy, limit, mining.folds)


def without(negatives: pa.Table, query_ids: pa.Array) -> pa.Table:
    """The negatives of all other queries than these."""
    return negatives.filter(pc.invert(pc.is_in(negatives["query_id"], value_set=query_ids)))


def _halves_suffice(config: Config) -> bool:
    """Whether a round's reranker has trained on the queries of one round only when it mines."""
    from_base = config.training.start == "base" and not config.training.replay_share
    return config.rounds <= 2 or from_base


def _fresh_suffice(count: int, config: Config) -> bool:
    limit = config.mining.queries_per_round
    if not config.mining.cross_fit:
        return False
    if limit is None:
        return config.rounds == 1 or count // config.rounds >= ENOUGH_QUERIES
    return limit * config.rounds <= count


def train_queries(queries: pa.Table, qrels: pa.Table) -> Any:
    """Ids of the train queries that have a positive, in the data set's order."""
    positives = qrels.filter(pc.greater(qrels["grade"], 0))
    return queries.filter(
        pc.and_(
            pc.equal(queries["split"], "train"),
            pc.is_in(queries["query_id"], value_set=pc.unique(positives["query_id"])),
        )
    )["query_id"].combine_chunks()
