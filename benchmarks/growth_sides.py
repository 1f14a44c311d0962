"""The sides of `growth.py`: each mines the hard negatives of a folder's queries, and says its cost.

    python growth_sides.py SIDE DATA MODELS WORK [SCRIPTS]

The last line of its output is JSON: the seconds of CPU time and the peak memory in MB, by stage for
strop, which are its whole process for the others.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEPTH, NEGATIVES = 30, 8


def peak_mb() -> float:
    """The most memory that this process had since `forget_peak`."""
    text = Path("/proc/self/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def forget_peak() -> None:
    """Begin to measure the peak anew."""
    Path("/proc/self/clear_refs").write_text("5")


def strop(data: Path, models: Path, work: Path) -> dict[str, Any]:
    """Every stage of a first round's mining, in one process, as its task does it."""
    from strop.pipeline.config import Config
    from strop.pipeline.data.splits import SplitRule
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

    config = Config.model_validate(
        {
            "rounds": 1,
            "dataset": str(data),
            "bi_encoder": {"model": str(models / "encoder"), "max_tokens": 32},
            "reranker": {
                "base": str(models / "reranker"),
                "max_tokens": 64,
                "max_query_tokens": 32,
            },
            "first_stage": {"depth": DEPTH},
            "mining": {"pool_size": DEPTH, "window_size": DEPTH, "group_size": NEGATIVES + 1},
            "evaluation": {"depth": 10},
        }
    )
    place, found = Place(work / "store", "growth", "prepare"), {}

    def stage(name: str, task: Any, *arguments: Any) -> Any:
        forget_peak()
        started = time.process_time()
        result = task.fn(*arguments)
        found[name] = {"seconds": time.process_time() - started, "peak_mb": peak_mb()}
        return getattr(result, "data", result)

    request = beir_request(data, SplitRule(dev_share=0.1, gate_share=0.5, seed=1))
    dataset = stage("import", import_request, place, request)
    encoder = stage("import encoder", import_model, place, config.bi_encoder.model)
    base = stage("import reranker", import_model, place, config.reranker.base)
    reranker = stage("initialise", initialise, place, base, config.reranker, config.seed)
    embeddings = stage("encode", encode, place, dataset, encoder, config.bi_encoder)
    candidates = stage("retrieve", retrieve, place, dataset, embeddings, DEPTH)
    tokens = stage("tokenize", tokenize, place, dataset, reranker, config.reranker)
    ranking = stage(
        "rerank dev", rerank, place, dataset, candidates, tokens, reranker, config, "dev"
    )
    pool = RoundPool(dataset, candidates)
    scores = stage("score", score, place, pool, tokens, reranker, config, 1)
    inputs = MiningInputs(pool=pool, ranking=ranking, scores=(scores,))
    size = GroupSize(config.mining.group_size)
    selection = stage("select", select_candidates, place, inputs, config, 1, size)
    stage("list negatives", list_negatives, place, dataset, selection)
    stage("list suspects", list_suspects, place, selection)
    return found


def sentence_transformers(data: Path, models: Path, work: Path) -> dict[str, Any]:
    """`mine_hard_negatives` with a cross-encoder."""
    from datasets import Dataset
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    rows = [json.loads(line) for line in (data / "train.jsonl").open()]
    encoder = SentenceTransformer(str(models / "encoder"), device="cpu")
    encoder.max_seq_length = 32
    found = mine_hard_negatives(
        Dataset.from_dict(
            {"anchor": [r["query"] for r in rows], "positive": [r["pos"][0] for r in rows]}
        ),
        encoder,
        corpus=[json.loads(line)["text"] for line in (data / "pool.jsonl").open()],
        cross_encoder=CrossEncoder(str(models / "reranker"), max_length=64, device="cpu"),
        range_max=DEPTH - 1,
        num_negatives=NEGATIVES,
        sampling_strategy="top",
        use_faiss=True,
        output_format="triplet",
        verbose=False,
    )
    found.to_json(str(work / "mined.jsonl"))
    return whole()


def flagembedding(data: Path, models: Path, work: Path, scripts: Path) -> dict[str, Any]:
    """`hn_mine.py` and `add_reranker_score.py`, the larger of whose peaks is told."""
    shared = ("--use_fp16", "False", "--devices", "cpu")
    files = ("--input_file", data / "train.jsonl", "--output_file", work / "mined.jsonl")
    mine = [
        *(sys.executable, scripts / "hn_mine.py", *files, *shared),
        *("--candidate_pool", data / "pool.jsonl", "--range_for_sampling", f"0-{DEPTH}"),
        *("--negative_number", NEGATIVES, "--embedder_name_or_path", models / "encoder"),
        *("--embedder_model_class", "encoder-only-base", "--pooling_method", "mean"),
        *("--batch_size", 64, "--embedder_passage_max_length", 32),
        *("--embedder_query_max_length", 32),
    ]
    files = ("--input_file", work / "mined.jsonl", "--output_file", work / "scored.jsonl")
    add_scores = [
        *(sys.executable, scripts / "add_reranker_score.py", *files, *shared),
        *("--reranker_name_or_path", models / "reranker", "--reranker_batch_size", 64),
        *("--reranker_model_class", "encoder-only-base"),
        *("--reranker_query_max_length", 32, "--reranker_max_length", 64),
    ]
    for command in (mine, add_scores):
        subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)
    return whole(resource.RUSAGE_CHILDREN)


def whole(who: int = resource.RUSAGE_SELF) -> dict[str, Any]:
    """What this process, or the largest of its children, took."""
    used = resource.getrusage(who)
    return {"whole": {"seconds": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}}


SIDES: dict[str, Callable[..., dict[str, Any]]] = {
    "strop": strop,
    "sentence-transformers": sentence_transformers,
    "FlagEmbedding": flagembedding,
}


if __name__ == "__main__":
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    name, *paths = sys.argv[1:]
    folders = [Path(path) for path in paths]
    if name != "FlagEmbedding":
        folders = folders[:3]
    print(json.dumps(SIDES[name](*folders)))
