"""sentence-transformers' recipe by its own code: mined negatives, then one of its losses.

Runs in a process of its own; `run.py` calls it.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

from datasets import Dataset
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.cross_encoder import (
    CrossEncoderTrainer,
    CrossEncoderTrainingArguments,
    losses,
)
from sentence_transformers.util import mine_hard_negatives
from transformers import set_seed

NEGATIVES, DEPTH = 5, 100
"""As in its reranker training examples."""
FORMATS = {"bce": "labeled-pair", "lambda": "labeled-list"}


def mined(given: argparse.Namespace) -> Dataset:
    """Its miner's data set with the documented settings; one row a query and positive."""
    folder = given.data
    rows = [json.loads(line) for line in (folder / "train.jsonl").open(encoding="utf-8")]
    pool = [json.loads(line)["text"] for line in (folder / "pool.jsonl").open(encoding="utf-8")]
    pairs = [(row["query"], text) for row in rows for text in row["pos"]]
    random.Random(given.seed).shuffle(pairs)
    weights = {"torch_dtype": "bfloat16"} if given.precision == "bf16" else {}
    model = SentenceTransformer(given.encoder, device="cpu", model_kwargs=weights)
    judge = given.cross_encoder and CrossEncoder(
        given.cross_encoder, max_length=given.max_tokens, device="cpu", model_kwargs=weights
    )
    model.max_seq_length = 64
    return mine_hard_negatives(
        Dataset.from_dict({"query": [q for q, _ in pairs], "answer": [p for _, p in pairs]}),
        model,
        corpus=list(dict.fromkeys(pool)),
        cross_encoder=judge,
        num_negatives=given.negatives,
        absolute_margin=None if given.keep_all else 0,
        range_min=0,
        range_max=given.depth,
        sampling_strategy="top",
        output_format=FORMATS[given.loss],
        batch_size=64,
        verbose=False,
    )


def train(given: argparse.Namespace) -> None:
    """Train on as many pairs as are asked for, and save the model."""
    set_seed(given.seed)
    rows = mined(given)
    model = CrossEncoder(given.base, max_length=given.max_tokens, device="cpu")
    if given.loss == "bce":
        import torch

        loss: Any = losses.BinaryCrossEntropyLoss(model, pos_weight=torch.tensor(given.negatives))
        batch, steps = given.step_pairs, given.pairs // given.step_pairs
    else:
        loss = losses.LambdaLoss(model, mini_batch_size=given.step_pairs)
        batch = max(1, given.step_pairs // (given.negatives + 1))
        steps = given.pairs // (batch * (given.negatives + 1))
    arguments = CrossEncoderTrainingArguments(
        output_dir=str(given.out / "trainer"),
        max_steps=steps,
        per_device_train_batch_size=batch,
        learning_rate=given.learning_rate,
        warmup_ratio=0.1,
        seed=given.seed,
        use_cpu=True,
        bf16=given.precision == "bf16",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    CrossEncoderTrainer(model=model, args=arguments, train_dataset=rows, loss=loss).train()
    model.save_pretrained(str(given.out / "model"))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    for name in ("--data", "--out"):
        parser.add_argument(name, type=Path, required=True)
    for name in ("--encoder", "--base"):
        parser.add_argument(name, required=True)
    parser.add_argument("--cross-encoder", help="what scores the candidates; else the encoder")
    parser.add_argument("--negatives", type=int, default=NEGATIVES)
    parser.add_argument("--depth", type=int, default=DEPTH, help="candidates a query")
    parser.add_argument("--keep-all", action="store_true", help="no margin: all candidates stay")
    parser.add_argument("--loss", choices=FORMATS, required=True)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--learning-rate", type=float, required=True)
    for name in ("--pairs", "--step-pairs", "--max-tokens", "--seed"):
        parser.add_argument(name, type=int, required=True)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
