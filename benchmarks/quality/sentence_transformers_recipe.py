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

NEGATIVES = 5
"""As in its reranker training examples."""
FORMATS = {"bce": "labeled-pair", "lambda": "labeled-list"}


def mined(folder: Path, encoder: str, kind: str, seed: int) -> Dataset:
    """Its miner's data set with the documented settings; one row a query and positive."""
    rows = [json.loads(line) for line in (folder / "train.jsonl").open(encoding="utf-8")]
    pool = [json.loads(line)["text"] for line in (folder / "pool.jsonl").open(encoding="utf-8")]
    pairs = [(row["query"], text) for row in rows for text in row["pos"]]
    random.Random(seed).shuffle(pairs)
    model = SentenceTransformer(encoder, device="cpu")
    model.max_seq_length = 64
    return mine_hard_negatives(
        Dataset.from_dict({"query": [q for q, _ in pairs], "answer": [p for _, p in pairs]}),
        model,
        corpus=list(dict.fromkeys(pool)),
        num_negatives=NEGATIVES,
        absolute_margin=0,
        range_min=0,
        range_max=100,
        sampling_strategy="top",
        output_format=FORMATS[kind],
        batch_size=64,
        verbose=False,
    )


def train(given: argparse.Namespace) -> None:
    """Train on as many pairs as are asked for, and save the model."""
    set_seed(given.seed)
    rows = mined(given.data, given.encoder, given.loss, given.seed)
    model = CrossEncoder(given.base, max_length=given.max_tokens, device="cpu")
    if given.loss == "bce":
        import torch

        loss: Any = losses.BinaryCrossEntropyLoss(model, pos_weight=torch.tensor(NEGATIVES))
        batch, steps = given.step_pairs, given.pairs // given.step_pairs
    else:
        loss = losses.LambdaLoss(model, mini_batch_size=given.step_pairs)
        batch = max(1, given.step_pairs // (NEGATIVES + 1))
        steps = given.pairs // (batch * (NEGATIVES + 1))
    arguments = CrossEncoderTrainingArguments(
        output_dir=str(given.out / "trainer"),
        max_steps=steps,
        per_device_train_batch_size=batch,
        learning_rate=given.learning_rate,
        warmup_ratio=0.1,
        seed=given.seed,
        use_cpu=True,
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
    parser.add_argument("--loss", choices=FORMATS, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    for name in ("--pairs", "--step-pairs", "--max-tokens", "--seed"):
        parser.add_argument(name, type=int, required=True)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
