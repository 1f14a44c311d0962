"""Three rounds by strop, by FlagEmbedding's scripts and by sentence-transformers: see `loop.py`."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.speed import inputs

Trained = tuple[str, int]
"""A reranker, by who trained it and in which round, from 1 on."""
ROUNDS, GROUP = 3, 16
QUERY_TOKENS, PASSAGE_TOKENS = 32, 96
TOKENS = QUERY_TOKENS + PASSAGE_TOKENS
RATE = 1e-4
RECIPE = Path(__file__).parent.parent / "quality" / "sentence_transformers_recipe.py"


@dataclass(frozen=True)
class Chain:
    """What one side is given: a folder of its own, the bi-encoder, and the command line.

    Every side makes its first reranker from the bi-encoder's weights, with a head of its own.
    """

    folder: Path
    encoder: Path
    given: Any

    @property
    def pairs(self) -> int:
        """Pairs that a round trains."""
        return int(self.given.queries) * GROUP

    def texts(self, number: int) -> Path:
        """The folder of a round's queries and of the pool."""
        return self.folder / f"texts-{number}"


@dataclass(frozen=True)
class Spent:
    """CPU and wall seconds of commands."""

    cpu: float = 0.0
    wall: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        """Of both."""
        return Spent(self.cpu + other.cpu, self.wall + other.wall)


def write_texts(chain: Chain) -> None:
    """Other queries for each round, with their positives, and the pool, as the peers read them."""
    queries, passages, judged = inputs.read_beir(chain.given.data, join=1)
    positives: dict[int, list[str]] = {}
    for query, passage in judged:
        positives.setdefault(query, []).append(passages[passage])
    rows = [{"query": queries[q], "pos": found[:1]} for q, found in positives.items()]
    count = chain.given.queries
    if len(rows) < ROUNDS * count:
        raise SystemExit(f"{chain.given.data}: {len(rows)} queries, expected {ROUNDS * count}")
    for number in range(ROUNDS):
        folder = chain.texts(number)
        folder.mkdir()
        inputs.write_lines(folder / "train.jsonl", rows[number * count : (number + 1) * count])
        inputs.write_lines(folder / "pool.jsonl", [{"text": text} for text in passages])


def strop(chain: Chain) -> list[Spent]:
    """`strop round` three times; the server runs before, and its time is added.

    Of what FlagEmbedding's and sentence-transformers' trainers do not offer it takes what
    `benchmarks/quality` trains with: no dropout, and the two lowest layers left as they are.
    """
    values = {
        "name": "loop",
        "dataset": str(chain.given.data.resolve()),
        "rounds": ROUNDS,
        "bi_encoder": {"max_tokens": PASSAGE_TOKENS, "precision": chain.given.precision},
        "reranker": {
            "precision": chain.given.precision,
            "base": str(chain.encoder),
            "max_tokens": TOKENS,
            "max_query_tokens": QUERY_TOKENS,
        },
        "mining": {
            "pool_size": GROUP,
            "group_size": GROUP,
            "queries_per_round": chain.given.queries,
            "guard": {"rule": "none"},
        },
        "training": {
            "pairs_per_round": chain.pairs,
            "groups_per_step": 1,
            "learning_rate": RATE,
            "dropout": 0.0,
            "frozen_layers": 2,
            "precision": chain.given.precision,
        },
        "evaluation": {"depth": 10},
        "execution": {"threads": chain.given.threads},
    }
    (chain.folder / "strop.yaml").write_text(yaml.safe_dump(values))
    command = [sys.executable, "-m", "strop.cli"]
    own = _own(chain)
    _spend(chain, [*command, "ui", "--url"], own)
    record = json.loads((chain.folder / "state" / "server.json").read_text())
    server = psutil.Process(record["pid"])
    work = [str(chain.folder / "strop.yaml"), "--store", str(chain.folder / "store")]
    rounds = []
    try:
        for number in range(1, ROUNDS + 1):
            before = sum(server.cpu_times()[:2])
            spent = _spend(chain, [*command, "round", *work, "--round", str(number)], own)
            rounds.append(spent + Spent(cpu=sum(server.cpu_times()[:2]) - before))
        return rounds
    finally:
        _spend(chain, [*command, "ui", "--stop"], own)


def _own(chain: Chain) -> dict[str, str]:
    """Where this chain's server keeps its state, and a free port for it."""
    return {"STROP_STATE": str(chain.folder / "state"), "STROP_SERVER_PORT": str(_free_port())}


def measured(chain: Chain, rerankers: Mapping[Trained, Path]) -> dict[Trained, float]:
    """nDCG@10 on test of the rerankers of strop's rounds and of others', alone."""
    command = [sys.executable, "-m", "strop.cli"]
    own = _own(chain)
    where = ["--store", str(chain.folder / "store")]
    _spend(chain, [*command, "assess", str(chain.folder / "strop.yaml"), *where], own)
    outside = [word for path in rerankers.values() for word in ("--reranker", str(path))]
    own_rounds = [f"loop:{number}" for number in range(1, ROUNDS + 1)]
    compare = [*command, "compare", *own_rounds, *outside, *where, "--split", "test", "--json"]
    try:
        done = subprocess.run(
            compare, env={**os.environ, **own}, stdout=subprocess.PIPE, check=True, text=True
        )
    finally:
        _spend(chain, [*command, "ui", "--stop"], own)
    rows = [row for row in json.loads(done.stdout) if row["ranking"] == "reranker"]
    names = [("strop", number) for number in range(1, ROUNDS + 1)]
    return dict(zip([*names, *rerankers], (row["value"] for row in rows), strict=True))


def flagembedding(chain: Chain) -> list[Spent]:
    """`hn_mine.py`, from round 2 on `add_reranker_score.py`, and its trainer, in every round."""
    rounds, last = [], chain.encoder
    for number in range(ROUNDS):
        texts, mined = chain.texts(number), chain.folder / f"mined-{number}.jsonl"
        spent = _spend(chain, _hn_mine(chain, texts, mined))
        if number:
            scored = chain.folder / f"scored-{number}.jsonl"
            spent += _spend(chain, _add_scores(chain, mined, scored, last))
            mined = scored
        out = chain.folder / f"flagembedding-{number}"
        rounds.append(spent + _spend(chain, _train(chain, last, mined, out)))
        last = out
    return rounds


def _hn_mine(chain: Chain, texts: Path, mined: Path) -> list[str]:
    files = {"input_file": texts / "train.jsonl", "candidate_pool": texts / "pool.jsonl"}
    return [
        *(str(chain.given.peers), str(chain.given.scripts / "hn_mine.py")),
        *(part for name, path in files.items() for part in (f"--{name}", str(path))),
        *("--output_file", str(mined), "--range_for_sampling", f"0-{GROUP}"),
        *("--negative_number", str(GROUP - 1), "--embedder_name_or_path", str(chain.encoder)),
        *("--embedder_model_class", "encoder-only-base", "--pooling_method", "mean"),
        *("--use_fp16", "False", "--devices", "cpu", "--batch_size", "64"),
        *("--embedder_passage_max_length", str(PASSAGE_TOKENS)),
        *("--embedder_query_max_length", str(PASSAGE_TOKENS)),
    ]


def _add_scores(chain: Chain, mined: Path, scored: Path, model: Path) -> list[str]:
    return [
        *(str(chain.given.peers), str(chain.given.scripts / "add_reranker_score.py")),
        *("--input_file", str(mined), "--output_file", str(scored), "--use_fp16", "False"),
        *("--reranker_name_or_path", str(model), "--devices", "cpu"),
        *("--reranker_model_class", "encoder-only-base", "--reranker_batch_size", "64"),
        *("--use_bf16", str(chain.given.precision == "bf16")),
        *("--reranker_query_max_length", str(QUERY_TOKENS), "--reranker_max_length", str(TOKENS)),
    ]


def _train(chain: Chain, base: Path, mined: Path, out: Path) -> list[str]:
    options = {
        "model_name_or_path": base,
        "train_data": mined,
        "cache_path": f"{out}-cache",
        "train_group_size": GROUP,
        "query_max_len": QUERY_TOKENS,
        "passage_max_len": PASSAGE_TOKENS,
        "output_dir": out,
        "learning_rate": RATE,
        "max_steps": chain.given.queries,
        "per_device_train_batch_size": 1,
        "save_strategy": "no",
        "use_cpu": True,
        "bf16": chain.given.precision == "bf16",
        "report_to": "none",
    }
    pairs = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    module = "FlagEmbedding.finetune.reranker.encoder_only.base"
    return [str(chain.given.peers), "-m", module, *pairs]


def sentence_transformers(chain: Chain) -> list[Spent]:
    """`mine_hard_negatives`, with the last cross-encoder from round 2 on, and its trainer."""
    rounds, last = [], chain.encoder
    for number in range(ROUNDS):
        out = chain.folder / f"sentence-transformers-{number}"
        out.mkdir()
        command = [
            *(sys.executable, str(RECIPE), "--data", str(chain.texts(number)), "--out", str(out)),
            *("--encoder", str(chain.encoder), "--base", str(last), "--loss", "bce"),
            *("--negatives", str(GROUP - 1), "--depth", str(GROUP), "--keep-all"),
            *("--learning-rate", str(RATE), "--pairs", str(chain.pairs)),
            *("--step-pairs", str(GROUP), "--max-tokens", str(TOKENS), "--seed", "1"),
            *("--precision", chain.given.precision),
            *(("--cross-encoder", str(last)) if number else ()),
        ]
        rounds.append(_spend(chain, command))
        last = out / "model"
    return rounds


def _spend(chain: Chain, command: Sequence[str], own: Mapping[str, str] | None = None) -> Spent:
    """Run a command to its end; ends the benchmark with its last words where it fails."""
    threads = {"OMP_NUM_THREADS": str(chain.given.threads), "HF_HUB_OFFLINE": "1"}
    started = time.perf_counter()
    with (chain.folder / "log.txt").open("w+") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, **threads, **(own or {})}
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{' '.join(command[:4])} … failed:\n{log.read()[-2000:]}")
    return Spent(used.ru_utime + used.ru_stime, time.perf_counter() - started)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


MADE = {
    "FlagEmbedding": "flagembedding-{}",
    "sentence-transformers": "sentence-transformers-{}/model",
}
"""Where a peer's rerankers are in its chain's folder, numbered from 0."""
SIDES = {
    "strop": strop,
    "FlagEmbedding": flagembedding,
    "sentence-transformers": sentence_transformers,
}
