"""The peers' recipes as commands: what mines and trains, in whose environment, from which files."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RECIPE = Path(__file__).with_name("sentence_transformers_recipe.py")
GROUP = 16
"""FlagEmbedding's recipe: one positive, 15 negatives from ranks 10 to 210."""
QUERY_TOKENS, PASSAGE_TOKENS = 16, 48
"""Of FlagEmbedding's trainer, which cuts a pair at their sum."""


@dataclass(frozen=True)
class Peers:
    """Where the peers are: an environment with FlagEmbedding, its repository's scripts, a model."""

    python: Path
    scripts: Path
    encoder: Path
    threads: int


@dataclass(frozen=True)
class Task:
    """One training: a base with its head, the budget, where the texts are and the model goes."""

    arm: str
    base: Path
    texts: Path
    out: Path
    pairs: int
    learning_rate: float
    seed: int

    @property
    def model(self) -> Path:
        """The folder of the trained model."""
        return self.out / "model"


ARMS = ("flagembedding", "sentence-transformers-bce", "sentence-transformers-lambda")


def train(peers: Peers, task: Task) -> None:
    """Train one arm's model unless it is there; its seconds go to ``done.json``."""
    if (task.out / "done.json").exists():
        return
    task.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    if task.arm == "flagembedding":
        mined = _flagembedding_negatives(peers, task)
        _run(peers, _flagembedding_training(peers, task, mined), task.out)
    else:
        _run(peers, _sentence_transformers(peers, task), task.out)
    seconds = time.perf_counter() - started
    (task.out / "done.json").write_text(json.dumps({"seconds": seconds}))


def _flagembedding_negatives(peers: Peers, task: Task) -> Path:
    """Its `hn_mine.py`, once for every learning rate; it draws by no seed that one could give."""
    mined = task.out.parent / f"mined-{task.seed}.jsonl"
    if mined.exists():
        return mined
    files = {"input_file": task.texts / "train.jsonl", "candidate_pool": task.texts / "pool.jsonl"}
    command = [
        *(str(peers.python), str(peers.scripts / "hn_mine.py")),
        *(part for name, path in files.items() for part in (f"--{name}", str(path))),
        *("--output_file", f"{mined}.new", "--range_for_sampling", "10-210"),
        *("--negative_number", str(GROUP - 1), "--embedder_name_or_path", str(peers.encoder)),
        *("--embedder_model_class", "encoder-only-base", "--pooling_method", "mean"),
        *("--use_fp16", "False", "--devices", "cpu", "--batch_size", "64"),
        *("--embedder_passage_max_length", "64", "--embedder_query_max_length", "64"),
    ]
    _run(peers, command, task.out)
    Path(f"{mined}.new").rename(mined)
    return mined


def _flagembedding_training(peers: Peers, task: Task, mined: Path) -> list[str]:
    options = {
        "model_name_or_path": task.base,
        "train_data": mined,
        "cache_path": task.out / "cache",
        "train_group_size": GROUP,
        "query_max_len": QUERY_TOKENS,
        "passage_max_len": PASSAGE_TOKENS,
        "output_dir": task.model,
        "learning_rate": task.learning_rate,
        "max_steps": task.pairs // GROUP,
        "per_device_train_batch_size": 1,
        "warmup_ratio": 0.1,
        "weight_decay": 0.01,
        "seed": task.seed,
        "save_strategy": "no",
        "use_cpu": True,
        "report_to": "none",
    }
    pairs = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return [str(peers.python), "-m", "FlagEmbedding.finetune.reranker.encoder_only.base", *pairs]


def _sentence_transformers(peers: Peers, task: Task) -> list[str]:
    return [
        *(sys.executable, str(RECIPE), "--data", str(task.texts), "--out", str(task.out)),
        *("--encoder", str(peers.encoder), "--base", str(task.base)),
        *("--loss", task.arm.rpartition("-")[2], "--learning-rate", str(task.learning_rate)),
        *("--pairs", str(task.pairs), "--step-pairs", str(GROUP)),
        *("--max-tokens", str(QUERY_TOKENS + PASSAGE_TOKENS), "--seed", str(task.seed)),
    ]


def _run(peers: Peers, command: Sequence[str], folder: Path) -> None:
    """Run a command; its words go to ``log.txt``, whose end is shown when it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(peers.threads), "HF_HUB_OFFLINE": "1"}
    log = folder / "log.txt"
    with log.open("a") as file:
        done = subprocess.run(command, stdout=file, stderr=file, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} … failed:\n{log.read_text()[-2000:]}")
