"""One side of `ray_trials`: a process that takes a store through a first round's mining.

    python -m benchmarks.ray_side FOLDER SIDE WORKERS KILL_SECONDS SHARD

SIDE names the store and the results in FOLDER; 0 WORKERS do without Ray; every KILL_SECONDS one
worker that has a shard is killed (0 kills none); a shard has SHARD passages, or four times as many
pairs. Stages that were measured before are not again.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.synthetic import FALSE_NEGATIVES
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.config import Config, Execution
from strop.pipeline.data.splits import SplitRule
from strop.pipeline.threads import use_threads
from strop.tasks.cluster import cluster
from strop.tasks.encode import encode
from strop.tasks.feed_back import GroupSize
from strop.tasks.import_data import beir_request, import_request
from strop.tasks.import_model import import_model
from strop.tasks.initialise import initialise
from strop.tasks.mine import list_negatives, list_suspects, select_candidates
from strop.tasks.mining_inputs import MiningInputs
from strop.tasks.rerank import rerank
from strop.tasks.retrieve import retrieve
from strop.tasks.round_pool import RoundPool
from strop.tasks.score import score
from strop.tasks.stage import Place
from strop.tasks.tokenize import tokenize

LOOK_SECONDS = 0.2
DONE_BETWEEN = 4
"""Shards that are done between two kills, at least."""
DEPTH, POOL = 100, 50


def config_of(folder: Path, shard: int) -> Config:
    """The guard catches nine of ten positives that were hidden from it, in the scores that mine."""
    return Config.model_validate(
        {
            "rounds": 1,
            "dataset": str(folder / "data"),
            "bi_encoder": {
                "model": str(folder / "encoder"),
                "max_tokens": 80,
                "shard_passages": shard,
            },
            "reranker": {
                "base": str(folder / "reranker"),
                "max_tokens": 96,
                "max_query_tokens": 16,
                "shard_pairs": 4 * shard,
            },
            "first_stage": {"depth": DEPTH},
            "mining": {
                "pool_size": POOL,
                "window_size": POOL,
                "group_size": 8,
                "guard": {"caught_share": 0.9},
            },
            "evaluation": {"depth": 20},
        }
    )


@dataclass
class Watch(threading.Thread):
    """Looks at the memory of this process and its workers, and kills one of these now and then."""

    kill_seconds: float
    shards: Path
    kills: int = 0
    peak_mb: float = 0.0
    workers_peak_mb: float = 0.0
    stopped: threading.Event = field(default_factory=threading.Event)
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        """Become a daemon."""
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        """Be told apart from other threads."""
        return id(self)

    def run(self) -> None:
        """Look until stopped."""
        last, before = time.monotonic(), self._done()
        while not self.stopped.wait(LOOK_SECONDS):
            workers = self._look()
            due = self.kill_seconds and time.monotonic() - last > self.kill_seconds
            # A shard that is given out again has time to be done, or it would be lost for good.
            if workers and due and len(self._done() - before) >= DONE_BETWEEN:
                last, before = time.monotonic(), self._done()
                with suppress(psutil.Error):
                    self.chance.choice(workers).send_signal(signal.SIGKILL)
                    self.kills += 1

    def _done(self) -> set[str]:
        """Shards that are in the store now."""
        return {path.parent.name for path in self.shards.glob("*/manifest.json")}

    def _look(self) -> list[psutil.Process]:
        """Workers that have a shard."""
        me, found, sizes = psutil.Process(), [], []
        for process in me.children(recursive=True):
            with suppress(psutil.Error, IndexError):
                name = process.cmdline()[0]
                if name.startswith("ray::"):
                    sizes.append(process.memory_info().rss / 1e6)
                if name.startswith("ray::shard"):
                    found.append(process)
        self.peak_mb = max(self.peak_mb, me.memory_info().rss / 1e6)
        self.workers_peak_mb = max(self.workers_peak_mb, sum(sizes))
        return found

    def taken(self) -> dict[str, Any]:
        """What was seen since it was taken last."""
        seen = {
            "kills": self.kills,
            "peak_mb": self.peak_mb,
            "workers_peak_mb": self.workers_peak_mb,
        }
        self.kills, self.peak_mb, self.workers_peak_mb = 0, 0.0, 0.0
        return seen


@dataclass
class Side:
    """The stages of one store, measured one after another; a stage is kept once it is done."""

    folder: Path
    name: str
    watch: Watch
    found: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Go on from what was measured."""
        if self.results.exists():
            self.found = json.loads(self.results.read_text())

    @property
    def results(self) -> Path:
        """Where the measurements are kept."""
        return self.folder / f"{self.name}.json"

    @property
    def place(self) -> Place:
        """Where the stages run."""
        return Place(str(self.folder / f"store-{self.name}"), "trial", "prepare")

    def stage(self, name: str, task: Any, *arguments: Any) -> ArtifactRef:
        """The ref of a stage, measured unless it was before."""
        self.watch.taken()
        started = time.monotonic()
        result = task.fn(self.place, *arguments)
        ref: ArtifactRef = getattr(result, "data", result)
        if name not in self.found:
            made = self.place.open().manifest(ref)
            self.found[name] = {
                "seconds": time.monotonic() - started,
                "digest": ref.digest,
                "shards": made.execution.get("shards"),
                **self.watch.taken(),
            }
            self.keep()
            print(f"{self.name}: {name} {self.found[name]['seconds']:.1f} s", flush=True)
        return ref

    def keep(self) -> None:
        """Write what was measured."""
        self.results.write_text(json.dumps(self.found, indent=1))


def carry_out(side: Side, config: Config) -> None:
    """All stages up to the negatives of round 1."""
    rule = SplitRule(dev_share=0.1, gate_share=0.5, seed=1)
    dataset = side.stage("import", import_request, beir_request(Path(config.dataset), rule))
    encoder = side.stage("import encoder", import_model, config.bi_encoder.model)
    base = side.stage("import reranker", import_model, config.reranker.base)
    reranker = side.stage("initialise", initialise, base, config.reranker, config.seed)
    vectors = side.stage("encode", encode, dataset, encoder, config.bi_encoder)
    candidates = side.stage("retrieve", retrieve, dataset, vectors, DEPTH)
    tokens = side.stage("tokenize", tokenize, dataset, reranker, config.reranker)
    ranking = side.stage("rerank dev", rerank, dataset, candidates, tokens, reranker, config, "dev")
    pool = RoundPool(dataset, candidates)
    scores = side.stage("score", score, pool, tokens, reranker, config, 1)
    inputs = MiningInputs(pool=pool, ranking=ranking, scores=(scores,))
    size = GroupSize(config.mining.group_size)
    selection = side.stage("select", select_candidates, inputs, config, 1, size)
    negatives = side.stage("list negatives", list_negatives, dataset, selection)
    side.stage("list suspects", list_suspects, selection)
    store = side.place.open()
    side.found["planted"] = planted(store, selection, negatives, side.folder / "data")
    side.found["planted"]["mined_by"] = str(store.manifest(selection).summary.get("mined_by"))
    side.keep()


def planted(
    store: Store, selection: ArtifactRef, negatives: ArtifactRef, data: Path
) -> dict[str, Any]:
    """How many planted false negatives were in the pool, were suspected, and were taken."""
    lines = (data / FALSE_NEGATIVES).read_text().splitlines()[1:]
    wanted = {tuple(line.split("\t")[:2]) for line in lines}
    counts = {"in_pool": 0, "caught": 0, "candidates": 0, "suspects": 0}
    table = store.table(selection, "selection", columns=["query_id", "passage_id", "decision"])
    asked = set()
    for batch in table.to_batches(max_chunksize=1 << 16):
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        for query, passage, decision in rows:
            asked.add(query)
            suspected, hit = decision == "suspect", (query, passage) in wanted
            counts["candidates"] += 1
            counts["suspects"] += suspected
            counts["in_pool"] += hit
            counts["caught"] += hit and suspected
    taken = 0
    listed = store.table(negatives, "negatives", columns=["query_id", "negatives"])
    for batch in listed.to_batches(max_chunksize=1 << 12):
        for query, chosen in zip(*(c.to_pylist() for c in batch.columns), strict=True):
            taken += sum((query, item["passage_id"]) in wanted for item in chosen)
    of_these = sum(query in asked for query, _ in wanted)
    return {"planted": of_these, **counts, "taken": taken}


def main() -> None:
    """Measure one side."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    workers, kill_seconds, shard = int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    watch = Watch(kill_seconds, folder / f"store-{name}" / "objects" / "shard")
    watch.start()
    side = Side(folder, name, watch)
    use_threads(1)
    ray = Execution(runner="ray", workers=workers, threads=1) if workers else Execution(threads=1)
    started = time.monotonic()
    with cluster(ray, side.place.store):
        side.found.setdefault("start", {"seconds": time.monotonic() - started})
        carry_out(side, config_of(folder, shard))
    watch.stopped.set()


if __name__ == "__main__":
    main()
