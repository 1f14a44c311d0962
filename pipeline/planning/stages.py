"""A run's stages before it starts: how much each has to do, and what that costs."""

from collections.abc import Iterator
from dataclasses import dataclass

from strop.pipeline.config import GIVEN, Config
from strop.pipeline.planning.costs import UnitCosts

SMALL_SECONDS = 0.3
"""A stage that only reads and writes tables; measured with tables of some thousand rows."""
TIMED_QUERIES = 21
"""Queries that `time reranking` times at each depth, and one that warms it up."""
CANDIDATE_BYTES = 12
"""A row of candidates on disk: a score, a rank and dictionary-encoded ids, compressed."""
BLOCK_BYTES, KEPT_BYTES = 4 * 2**14, 24
"""What the exact search holds: bytes of a block by dimension, and of a candidate kept."""
TOKEN_BYTES = 2.0
"""A token id on disk, compressed."""
WEIGHT_BYTES, TRAINED_COPIES = 4, 4
"""Bytes of a weight in fp32, and how often training holds it: weight, gradient, two moments."""


@dataclass(frozen=True)
class Counts:
    """What a run has to work on; ``round_queries`` are the training queries of every round.

    ``reading`` is how many seconds it took to read the data, ``folds`` how many rerankers mine a
    round where cross-fitting takes folds, else 0.
    """

    passages: int
    queries: dict[str, int]
    round_queries: tuple[int, ...]
    reading: float
    folds: int = 0

    @property
    def all_queries(self) -> int:
        """Queries of all splits."""
        return sum(self.queries.values())


@dataclass(frozen=True)
class Planned:
    """A stage that is to come: ``units`` of its work, and what they will take.

    ``memory`` is the process's peak in bytes, ``disk`` what stays in the store.
    """

    stage: str
    part: str
    units: int
    unit: str
    seconds: float
    memory: int
    disk: int = 0


def planned(config: Config, counts: Counts, costs: UnitCosts, *, devices: int) -> list[Planned]:
    """The stages of `strop run CONFIG`, all rounds accepted and nothing found in the store.

    Training is shared out to ``devices``; everything else runs on one.
    """
    plan = _Plan(config, counts, costs, devices)
    return [*plan.prepare(), *plan.rounds(), *plan.end()]


@dataclass(frozen=True)
class _Plan:
    config: Config
    counts: Counts
    costs: UnitCosts
    devices: int

    def prepare(self) -> Iterator[Planned]:
        counts, costs, texts = self.counts, self.costs, self.texts
        tokens = counts.passages * costs.passage_tokens + counts.all_queries * costs.query_tokens
        yield self._stage("import", "prepare", texts, "texts", counts.reading, disk=tokens * 4)
        start = costs.libraries + costs.load_encoder + costs.load_reranker
        model = costs.parameters * WEIGHT_BYTES
        yield self._stage("load and initialise", "prepare", 2, "models", start, disk=model)
        vectors = texts * costs.width * 4
        yield self._stage(
            "encode",
            "prepare",
            round(tokens),
            "tokens",
            tokens * costs.encode_token + costs.load_encoder,
            disk=vectors,
            more=min(counts.passages, self.config.bi_encoder.shard_passages) * costs.width * 4,
        )
        depth = self.config.first_stage.depth
        multiply_adds = counts.all_queries * counts.passages * costs.width
        yield self._stage(
            "retrieve",
            "prepare",
            counts.all_queries,
            "queries",
            multiply_adds * costs.multiply_add + SMALL_SECONDS,
            disk=counts.all_queries * depth * CANDIDATE_BYTES,
            more=BLOCK_BYTES * costs.width + counts.all_queries * depth * KEPT_BYTES,
        )
        yield self._stage(
            "tokenize", "prepare", texts, "texts", texts * costs.tokenize_text, disk=tokens * 2
        )
        yield self._rerank("prepare", "dev")

    def rounds(self) -> Iterator[Planned]:
        mining = self.config.mining
        for number, queries in enumerate(self.counts.round_queries, start=1):
            part = f"round {number}"
            if mining.teacher not in (None, GIVEN):
                pool = mining.window_size + sum(pool.size for pool in mining.more_pools)
                yield self._scored("score", f"{part} · teacher", queries * pool)
            folds = self.counts.folds if number > 1 and mining.miner == "last_round" else 0
            if folds:  # a reranker a fold, each trained on the others
                yield self._train(part, round(queries * (folds - 1)), "train without folds")
            if self._mined_by_reranker(number):
                pool = mining.pool_size + sum(pool.size for pool in mining.more_pools)
                yield self._scored("score", part, queries * pool)
            yield self._train(part, queries, "train")
            yield self._rerank(part, "dev")
            yield self._small(part, 8)

    def end(self) -> Iterator[Planned]:
        yield self._rerank("promote", "gate")
        rounds = len(self.counts.round_queries) + 1
        if self.counts.queries.get("test"):
            pairs = rounds * self.counts.queries["test"] * self.depth
            yield self._scored("rerank", f"assess, test, {rounds} times", pairs, times=rounds)
        pairs = TIMED_QUERIES * sum(self.config.evaluation.cuts)
        yield self._scored("time reranking", "assess", pairs)
        yield self._small("assess", 3 * rounds)

    @property
    def texts(self) -> int:
        return self.counts.passages + self.counts.all_queries

    @property
    def depth(self) -> int:
        return min(self.config.evaluation.depth, self.counts.passages)

    def _mined_by_reranker(self, number: int) -> bool:
        miner = self.config.mining.miner
        untuned = number == 1 or miner == "first_round"
        return miner != "first_stage" and not (untuned and self.costs.fresh_head)

    def _rerank(self, part: str, split: str) -> Planned:
        pairs = self.counts.queries.get(split, 0) * self.depth
        return self._scored("rerank", f"{part}, {split}", pairs)

    def _scored(self, stage: str, part: str, pairs: int, *, times: int = 1) -> Planned:
        costs = self.costs
        seconds = pairs * costs.pair_tokens * costs.score_token + times * costs.load_reranker
        return self._stage(stage, part, pairs, "pairs", seconds, disk=pairs * CANDIDATE_BYTES)

    def _train(self, part: str, queries: int, stage: str) -> Planned:
        settings, costs = self.config.training, self.costs
        size = self.config.mining.group_size
        pairs = settings.pairs_per_round or queries * size * settings.epochs
        tokens = pairs * costs.pair_tokens
        start = costs.load_reranker + (costs.libraries if self.devices > 1 else 0.0)
        step = settings.groups_per_step * size * costs.pair_tokens / self.devices
        held = min(step, settings.graph_tokens) * costs.activation_bytes
        weights = costs.parameters * WEIGHT_BYTES
        return self._stage(
            stage,
            part,
            pairs,
            "pairs",
            tokens * costs.train_token / self.devices + start,
            disk=weights,
            more=round((TRAINED_COPIES - 1) * weights + held),
        )

    def _small(self, part: str, count: int) -> Planned:
        seconds = count * SMALL_SECONDS
        return self._stage("tables and reports", part, count, "stages", seconds)

    def _stage(
        self,
        stage: str,
        part: str,
        units: int,
        unit: str,
        seconds: float,
        *,
        disk: float = 0,
        more: float = 0,
    ) -> Planned:
        memory = round(self.costs.resident_bytes + more)
        return Planned(stage, part, units, unit, seconds, memory, round(disk))


def dominant(stages: list[Planned]) -> tuple[str, float]:
    """The kind of stage that takes the most time over all parts, and its share."""
    seconds: dict[str, float] = {}
    for stage in stages:
        seconds[stage.stage] = seconds.get(stage.stage, 0.0) + stage.seconds
    longest = max(seconds, key=lambda name: seconds[name])
    return longest, seconds[longest] / sum(seconds.values())
