"""The stages of a run before it starts: how much each has to do, and what that costs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from strop.pipeline.config import GIVEN, Config
from strop.pipeline.planning.costs import UnitCosts
from strop.pipeline.planning.index_costs import build_work, index_bytes, search_work
from strop.pipeline.planning.retrievers import asks_bi_encoder, asks_words, fuses
from strop.pipeline.planning.stages import Counts, Planned

SMALL_SECONDS = 0.1
"""A stage that only reads and writes tables; measured with tables of some thousand rows."""
SELECT_SECONDS, FITTED_SECONDS = 6e-6, 6e-6
"""Selection, listing negatives and suspects, by row of a window; as much again where the guard's
threshold is fitted."""
READ_SECONDS = 3e-7
"""Reading a row of candidates, all of which every stage that scores pairs reads."""
EVALUATE_SECONDS, BREAK_DOWN_SECONDS, REPORT_SECONDS = 0.001, 0.0019, 0.0033
"""By query: measuring a ranking; breaking a round down by depth and slice; reporting."""
FUSE_SECONDS = 1e-6
"""A row of one of the lists that are fused."""
COMPARED = 100
"""Queries for which an index is held against the exact search."""
TIMED_QUERIES = 21
"""Queries that `time reranking` times at each depth, and one that warms it up."""
CLUSTER_SECONDS, WORKER_SECONDS, SHARD_SECONDS = 2.6, 2.0, 0.12
"""A Ray cluster's start; what a worker loads besides the libraries; what the run's process does
for a shard, one after another. From ``benchmarks/results/ray.md``."""
SHARD_TEXTS, SHARD_QUERIES = 1 << 14, 1 << 12
"""Of a shard of the stages that tokenize and retrieve."""
CANDIDATE_BYTES = 12
"""A row of candidates on disk: a score, a rank and dictionary-encoded ids, compressed."""
BLOCK_BYTES, KEPT_BYTES, QUERY_COPIES = 4 * 2**14, 24, 4
"""What the exact search holds: bytes of a block by dimension, and of a candidate kept; how often
the vectors of all queries are in memory when they are encoded and searched for."""
RUN_BYTES = 70_000_000
"""What Prefect and what draws reports take besides the numerical libraries."""
KERNEL_BYTES = 250_000_000
"""What oneDNN keeps on a CPU of the kernels that it makes for the shapes of trained batches."""
SCORED_BYTES, SELECTED_BYTES = 450, 500
"""A row of a pool that is scored, and of a window that negatives are selected from, in memory."""
TOKEN_BYTES, TEXT_BYTES = 2.0, 3000
"""A token id on disk, compressed; a text's token ids in memory while it is tokenized."""
WEIGHT_BYTES, TRAINED_COPIES = 4, 4
"""Bytes of a weight in fp32, and how often training holds it: weight, gradient, two moments."""


def planned(
    config: Config, counts: Counts, costs: UnitCosts, *, devices: int, workers: int = 0
) -> list[Planned]:
    """The stages of `strop run CONFIG`, all rounds accepted and nothing found in the store.

    Training is shared out to ``devices``, the stages that are cut into shards to the ``workers`` of
    a cluster; 0 is for none. Everything else runs in one process.
    """
    plan = _Plan(config, counts, costs, devices, workers)
    return [*plan.prepare(), *plan.rounds(), *plan.end()]


@dataclass(frozen=True)
class _Plan:
    config: Config
    counts: Counts
    costs: UnitCosts
    devices: int
    workers: int

    def prepare(self) -> Iterator[Planned]:
        counts, costs, texts = self.counts, self.costs, self.texts
        tokens = counts.passages * costs.passage_tokens + counts.all_queries * costs.query_tokens
        yield self._stage("import", "prepare", texts, "texts", counts.reading, disk=tokens * 4)
        start = costs.libraries + costs.load_encoder + costs.load_reranker
        model = costs.parameters * WEIGHT_BYTES
        yield self._stage("load and initialise", "prepare", 2, "models", start, disk=model)
        if self.workers:
            start = CLUSTER_SECONDS + WORKER_SECONDS + costs.libraries
            yield self._stage("start workers", "prepare", self.workers, "workers", start)
        if asks_bi_encoder(self.config):
            yield from self._by_vectors(tokens)
        if asks_words(self.config):
            yield from self._by_words()
        if fuses(self.config):
            seconds = SMALL_SECONDS + 2 * self.rows * FUSE_SECONDS
            yield self._stage("fuse", "prepare", self.rows, "candidates", seconds)
        yield self._cut(
            self._stage(
                "tokenize",
                "prepare",
                texts,
                "texts",
                texts * costs.tokenize_text,
                disk=tokens * TOKEN_BYTES,
                more=counts.all_queries * TEXT_BYTES,
            ),
            shards=-(-counts.passages // SHARD_TEXTS) + 1,
            shard_bytes=SHARD_TEXTS * TEXT_BYTES,
        )
        if not self.costs.fresh_head:  # whose scores nobody needs
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
            yield self._select(part, queries * min(mining.window_size, self.counts.passages))
            yield self._train(part, queries, "train")
            yield self._rerank(part, "dev")
            each = EVALUATE_SECONDS + REPORT_SECONDS + (number + 1) * BREAK_DOWN_SECONDS
            yield self._small(part, 6, self.counts.queries.get("dev", 0) * each)

    def end(self) -> Iterator[Planned]:
        yield self._rerank("promote", "gate")
        rounds, test = len(self.counts.round_queries) + 1, self.counts.queries.get("test", 0)
        if self.counts.queries.get("test"):
            scored = rounds - self.costs.fresh_head
            pairs = scored * self.counts.queries["test"] * self.depth
            yield self._scored("rerank", f"assess, test, {scored} times", pairs, times=scored)
        pairs = TIMED_QUERIES * sum(self.config.evaluation.cuts)
        seconds = pairs * self.costs.pair_tokens * self.costs.score_token
        seconds += self.costs.load_reranker
        yield self._stage("time reranking", "assess", pairs, "pairs", seconds)
        each = rounds * (EVALUATE_SECONDS + BREAK_DOWN_SECONDS) + REPORT_SECONDS
        evaluated = self.counts.queries.get("gate", 0) * EVALUATE_SECONDS
        yield self._small("assess", 3 * rounds, evaluated + test * each)

    @property
    def texts(self) -> int:
        return self.counts.passages + self.counts.all_queries

    @property
    def rows(self) -> int:
        """Rows of the candidates."""
        depth = min(self.config.first_stage.depth, self.counts.passages)
        return self.counts.all_queries * depth

    @property
    def depth(self) -> int:
        return min(self.config.evaluation.depth, self.counts.passages)

    def _mined_by_reranker(self, number: int) -> bool:
        miner = self.config.mining.miner
        untuned = number == 1 or miner == "first_round"
        return miner != "first_stage" and not (untuned and self.costs.fresh_head)

    def _by_vectors(self, tokens: float) -> Iterator[Planned]:
        counts, costs, texts = self.counts, self.costs, self.texts
        shard = min(counts.passages, self.config.bi_encoder.shard_passages)
        yield self._cut(
            self._stage(
                "encode",
                "prepare",
                round(tokens),
                "tokens",
                tokens * costs.encode_token,
                disk=texts * costs.width * 4,
                more=QUERY_COPIES * counts.all_queries * costs.width * 4,
            ),
            shards=-(-counts.passages // shard) + 1,
            load=costs.load_encoder,
            shard_bytes=shard * costs.width * 4,
        )
        if self.config.first_stage.index.type != "exact":
            yield self._build_index()
        yield self._retrieve()

    def _by_words(self) -> Iterator[Planned]:
        passages, queries = self.counts.passages, self.counts.all_queries
        seconds = SMALL_SECONDS + passages * self.costs.index_words
        yield self._stage("index words", "prepare", passages, "passages", seconds)
        seconds = SMALL_SECONDS + queries * passages * self.costs.search_words
        disk = self.rows * CANDIDATE_BYTES
        yield self._stage("retrieve bm25", "prepare", queries, "queries", seconds, disk=disk)

    def _build_index(self) -> Planned:
        passages, index = self.counts.passages, self.config.first_stage.index
        kept, held = index_bytes(passages, self.costs.width, index)
        return self._stage(
            "build index",
            "prepare",
            passages,
            "passages",
            build_work(passages, index) * self.costs.build_index,
            disk=kept,
            more=held,
        )

    def _retrieve(self) -> Planned:
        counts, costs = self.counts, self.costs
        queries, index = counts.all_queries, self.config.first_stage.index
        exact = counts.passages * costs.width * costs.multiply_add
        if index.type == "exact":
            seconds = queries * exact
        else:
            found = search_work(counts.passages, index) * costs.search_index
            seconds = queries * found + min(queries, COMPARED) * exact
        vectors = queries * costs.width * 4
        # Workers send what they found, and a shard's is written before the next is asked for.
        held = vectors if self.workers else QUERY_COPIES * vectors + self.rows * KEPT_BYTES
        return self._cut(
            self._stage(
                "retrieve",
                "prepare",
                queries,
                "queries",
                seconds + SMALL_SECONDS,
                disk=self.rows * CANDIDATE_BYTES,
                more=held,
            ),
            shards=-(-queries // SHARD_QUERIES),
            shard_bytes=BLOCK_BYTES * costs.width,
        )

    def _rerank(self, part: str, split: str) -> Planned:
        pairs = self.counts.queries.get(split, 0) * self.depth
        return self._scored("rerank", f"{part}, {split}", pairs)

    def _scored(self, stage: str, part: str, pairs: int, *, times: int = 1) -> Planned:
        costs, size = self.costs, self.config.reranker.shard_pairs
        return self._cut(
            self._stage(
                stage,
                part,
                pairs,
                "pairs",
                pairs * costs.pair_tokens * costs.score_token + times * self.rows * READ_SECONDS,
                disk=pairs * CANDIDATE_BYTES,
                more=pairs // times * SCORED_BYTES,
            ),
            shards=-(-pairs // size),
            load=times * costs.load_reranker,
            shard_bytes=min(pairs, size) * SCORED_BYTES,
        )

    def _select(self, part: str, rows: int) -> Planned:
        fitted = self.config.mining.guard.caught_share is not None
        each = SELECT_SECONDS + fitted * FITTED_SECONDS
        seconds, held = SMALL_SECONDS + rows * each, rows * SELECTED_BYTES
        return self._stage("select", part, rows, "candidates", seconds, more=held)

    def _train(self, part: str, queries: int, stage: str) -> Planned:
        settings, costs = self.config.training, self.costs
        size = self.config.mining.group_size
        pairs = settings.pairs_per_round or queries * size * settings.epochs
        tokens = pairs * costs.pair_tokens
        start = costs.load_reranker + (costs.libraries if self.devices > 1 else 0.0)
        step = settings.groups_per_step * size * costs.pair_tokens / self.devices
        held = min(step, settings.graph_tokens) * costs.activation_bytes
        held += KERNEL_BYTES if costs.device == "cpu" else 0
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

    def _small(self, part: str, count: int, more: float) -> Planned:
        seconds = count * SMALL_SECONDS + more
        return self._stage("tables and reports", part, count, "stages", seconds)

    def _cut(
        self, whole: Planned, *, shards: int, load: float = 0.0, shard_bytes: float
    ) -> Planned:
        """A stage that workers share out by whole shards, where there are any.

        ``whole`` is its work and what the run's process holds, ``load`` the seconds of loading a
        model for it, ``shard_bytes`` what is held to make a shard.
        """
        if not self.workers or not shards:
            held = whole.memory + round(shard_bytes)
            return replace(whole, seconds=whole.seconds + load, memory=held)
        turns = -(-shards // self.workers)
        return replace(
            whole,
            seconds=whole.seconds * turns / shards + load + shards * SHARD_SECONDS,
            worker_memory=round(self.costs.resident_bytes + shard_bytes),
        )

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
        memory = round(self.costs.resident_bytes + RUN_BYTES + more)
        return Planned(stage, part, units, unit, seconds, memory, round(disk))
