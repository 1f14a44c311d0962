"""strop's side of every comparison."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import strop.pipeline  # noqa: F401  before torch, whose threads it lets wait briefly

# isort: split
import numpy as np
import pyarrow as pa
import torch
from protocol import Job, StepEnds, by_model, read_lines, serve

from strop.pipeline.config import BiEncoder, Config, Reranker
from strop.pipeline.first_stage.encoding import Encoder
from strop.pipeline.models import resolve_model
from strop.pipeline.scoring.reranker import load_reranker, load_tokenizer
from strop.pipeline.scoring.scorer import PairSource, Scorer
from strop.pipeline.scoring.tokens import TokenTable, tokenize

GEMM_SHAPES = ((1024, 384, 384), (1024, 384, 1536), (1024, 1536, 384), (1024, 1024, 1024))
"""Rows, inputs and outputs of the products whose rate is measured."""
GEMM_SECONDS = 0.2
GPU_GEMM_SHAPES = ((8192, 8192, 8192), (65_536, 1024, 4096))


def gemm() -> dict[str, Any]:
    """The best fp32 rate of a dense layer through PyTorch's product and through oneDNN."""
    torch_rate, onednn_rate = 0.0, 0.0
    one_dnn = torch.ops.mkldnn._linear_pointwise
    with torch.inference_mode():
        for rows, inputs, outputs in GEMM_SHAPES:
            left, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
            work = 2 * rows * inputs * outputs
            plain = _rate(lambda a=left, b=weight: torch.nn.functional.linear(a, b), work)
            other = _rate(lambda a=left, b=weight: one_dnn(a, b, None, "none", [], ""), work)
            torch_rate, onednn_rate = max(torch_rate, plain), max(onednn_rate, other)
    return {"torch_gflops": torch_rate, "onednn_gflops": onednn_rate}


def gpu_gemm() -> dict[str, Any]:
    """The rate of the GPU's best bf16 product, in TFLOP/s, and the GPU's name."""
    best = 0.0
    for rows, inputs, outputs in GPU_GEMM_SHAPES:
        left = torch.randn(rows, inputs, device="cuda", dtype=torch.bfloat16)
        weight = torch.randn(outputs, inputs, device="cuda", dtype=torch.bfloat16)
        for count in (3, 20):  # the first ones warm up
            torch.cuda.synchronize()
            started = time.perf_counter()
            for _ in range(count):
                torch.nn.functional.linear(left, weight)
            torch.cuda.synchronize()
            spent = time.perf_counter() - started
        best = max(best, 2 * rows * inputs * outputs * count / spent / 1e12)
    return {"tflops": best, "device": torch.cuda.get_device_name()}


def _rate(product: Any, work: int) -> float:
    product()
    started, count = time.process_time(), 0
    while time.process_time() - started < GEMM_SECONDS:
        product()
        count += 1
    return work * count / (time.process_time() - started) / 1e9


def table(tokenizer: Any, texts: Sequence[str], limit: int) -> TokenTable:
    """Texts as cached tokens; a text's id is its place."""
    ids = pa.chunked_array([pa.array([str(place) for place in range(len(texts))])])
    return TokenTable(tokenize(tokenizer, ids, texts, limit))


def pair_source(
    tokenizer: Any, pairs: Sequence[tuple[str, str]], config: Reranker
) -> tuple[PairSource, Any, Any]:
    """The tokens of the pairs' texts, each once, and the pairs as rows of them."""
    queries = list(dict.fromkeys(query for query, _ in pairs))
    passages = list(dict.fromkeys(passage for _, passage in pairs))
    query_row = {text: row for row, text in enumerate(queries)}
    passage_row = {text: row for row, text in enumerate(passages)}
    source = PairSource(
        table(tokenizer, queries, config.max_query_tokens),
        table(tokenizer, passages, config.max_tokens),
    )
    return (
        source,
        np.array([query_row[query] for query, _ in pairs]),
        np.array([passage_row[passage] for _, passage in pairs]),
    )


def scoring(folder: Path, settings: dict[str, Any]) -> dict[str, Job]:
    """Scores of pairs, from texts."""
    config = Reranker(max_tokens=settings["max_tokens"], max_query_tokens=settings["max_query"])
    reranker, tokenizer = load_reranker(folder / "model"), load_tokenizer(folder / "model")
    pairs = read_lines(folder / "pairs.jsonl")

    def run(limit: int | None = None, precision: str = "auto") -> dict[str, Any]:
        settings = config.model_copy(update={"precision": precision})
        started, wall = time.process_time(), time.perf_counter()
        source, query_rows, passage_rows = pair_source(tokenizer, pairs[:limit], config)
        spent, waited = time.process_time() - started, time.perf_counter() - wall
        scores = Scorer(reranker, source, settings).score_rows(query_rows, passage_rows)
        return {"scores": scores.tolist(), "tokenizing": spent, "tokenizing_wall": waited}

    return {"run": run, "gemm": gemm}


def encoding(folder: Path, settings: dict[str, Any]) -> dict[str, Job]:
    """Vectors of passages."""

    def loaded(precision: str) -> Encoder:
        folder = resolve_model(settings["bi_encoder"])
        values = {"max_tokens": settings["encoder_tokens"], "precision": precision}
        return Encoder(folder, BiEncoder.model_validate(values))

    encoder, texts = loaded("auto"), read_lines(folder / "texts.jsonl")

    def run(limit: int | None = None, precision: str = "auto") -> dict[str, Any]:
        chosen = encoder if precision == "auto" else loaded(precision)
        started = time.perf_counter()
        vectors = chosen.encode(texts[:limit], prompt="")
        spent = time.perf_counter() - started
        np.save(folder / "strop.npy", vectors)
        return {"stepping": spent}

    return {"run": run, "gemm": gemm}


def training(folder: Path, settings: dict[str, Any]) -> dict[str, Job]:
    """A training from the folder's weights over its groups."""
    from strop.artifacts.schemas import NEGATIVES
    from strop.pipeline.mining.curriculum import epoch_order
    from strop.pipeline.seeds import generator
    from strop.pipeline.training.train import train

    groups = read_lines(folder / "groups.jsonl")
    config = Config.model_validate(
        {
            "rounds": 1,
            "reranker": {
                "max_tokens": settings["max_tokens"],
                "max_query_tokens": settings["max_query"],
            },
            "training": {
                "groups_per_step": settings["groups_per_step"],
                "learning_rate": settings["learning_rate"],
                "schedule": "constant",
                "warmup_share": 0.0,
                "dropout": 0.0,
                "gradients": settings.get("gradients", "auto"),
                "precision": "bf16" if settings.get("half") else "auto",
            },
        }
    )
    tokenizer = load_tokenizer(folder / "model")

    def run(limit: int | None = None) -> dict[str, Any]:
        chosen = groups[:limit]
        begun = time.perf_counter()
        pairs = [(group["query"], text) for group in chosen for text in group["texts"]]
        source, query_rows, passage_rows = pair_source(tokenizer, pairs, config.reranker)
        rows, start = [], 0
        for group in chosen:
            end = start + len(group["texts"])
            places = [str(row) for row in passage_rows[start:end]]
            rows.append(_negatives_row(str(query_rows[start]), places))
            start = end
        random = generator(config.seed, "groups", 1, 0)
        order = epoch_order(np.zeros(len(rows)), "none", random)
        # strop shuffles queries: they stand so that it comes to the order of the file.
        negatives = pa.Table.from_pylist(
            [rows[place] for place in np.argsort(order)], schema=NEGATIVES
        )
        before, wall = time.process_time(), time.perf_counter()
        reranker = load_reranker(folder / "model")
        loading, waited = time.process_time() - before, time.perf_counter() - wall
        with StepEnds() as ends:
            trained = train(reranker, negatives, source, config, round_number=1)
        return {
            "after_first": ends.after_first(),
            "losses": trained.log["loss"].to_pylist(),
            "pairs": int(sum(trained.log["pairs"].to_pylist())),
            "loading": loading,
            "stepping": time.perf_counter() - begun - waited,
        }

    return {"run": run, "gemm": gemm}


def _negatives_row(query: str, places: list[str]) -> dict[str, Any]:
    mined = [
        {"passage_id": place, "score": 0, "rank": rank, "sampler": "top", "hardness": 0}
        | {"weight": 1, "first_stage_score": 0, "teacher_score": None}
        for rank, place in enumerate(places[1:], start=1)
    ]
    positive = {"passage_id": places[0], "grade": 1, "first_stage_score": 0, "teacher_score": None}
    return {
        "query_id": query,
        "positives": [positive],
        "negatives": mined,
        "group_size": len(places),
        "difficulty": 0,
        "weight": 1,
    }


def mining(folder: Path, settings: dict[str, Any]) -> dict[str, Job]:
    """Hard negatives of queries, from texts."""
    from mining_tables import chosen, mined_rows, select_again

    encoder = Encoder(
        resolve_model(settings["bi_encoder"]), BiEncoder(max_tokens=settings["encoder_tokens"])
    )
    reranker = load_reranker(folder / "model")
    config = Reranker(max_tokens=settings["max_tokens"], max_query_tokens=settings["max_query"])
    tokenizer = load_tokenizer(folder / "model")
    corpus, queries = read_lines(folder / "corpus.jsonl"), read_lines(folder / "queries.jsonl")

    def run(limit: int | None = None) -> dict[str, Any]:
        passages = corpus[: 4 * limit] if limit else corpus
        asked = [query for query in queries if query["positive"] < len(passages)]
        vectors = (
            encoder.encode(passages, prompt=""),
            encoder.encode([query["text"] for query in asked], prompt=""),
        )

        def score(pairs: pa.Table) -> pa.Table:
            source = PairSource(
                table(tokenizer, [query["text"] for query in asked], config.max_query_tokens),
                table(tokenizer, passages, config.max_tokens),
            )
            return pa.concat_tables(Scorer(reranker, source, config).score(pairs))

        rows = mined_rows(passages, asked, vectors, score, depth=settings["depth"])
        started = time.perf_counter()
        selected = select_again(
            passages, rows, depth=settings["depth"], negatives=settings["negatives"]
        )
        again = time.perf_counter() - started
        return {"chosen": chosen(selected, passages, asked), "selecting": again}

    return {"run": run, "gemm": gemm}


STEPS = {"scoring": scoring, "encoding": encoding, "training": training, "mining": mining}


def load(folder: Path, **more: Any) -> dict[str, Job]:
    """The jobs of the step that the folder is for."""
    settings = json.loads((folder / "settings.json").read_bytes())
    if settings["step"] == "gpu":
        return {**by_model(STEPS, folder), "gemm": gpu_gemm}
    return STEPS[settings["step"]](folder, settings | more)


if __name__ == "__main__":
    serve(load, ("strop", "torch", "transformers"))
