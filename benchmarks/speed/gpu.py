"""Scoring and training on a GPU, in bf16, against the peers.

    python -m benchmarks.speed.gpu --peers PYTHON

Needs no data: texts are drawn, and models built like BERT, of three sizes, get random weights.
Every passage stands in several pairs, as in mining. Time is wall time: of scoring from texts to
scores, tokenizing included; of training from texts to the last step, loading left out. TFLOP/s are
of the products of the real tokens, where strop's last layer counts as what it computes and the
peers' as a whole; of strop's scoring they leave tokenizing out, which its loop does once a corpus,
and of every training its start and its first step.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.speed import inputs, results
from benchmarks.speed.side_by_side import (
    Process,
    Side,
    middle,
    ratio,
    started,
    versions_of,
)
from benchmarks.speed.work import forward_gflop

WORDS = 20_000
MAX_TOKENS, MAX_QUERY, MAX_PASSAGE = 512, 64, 400
GROUP_SIZE = 16
SPECIAL = 3
"""Special tokens of a pair."""
PAIRS_OF_A_PASSAGE = 4
LOSSES_AGREE = 0.02
"""Losses of the first step may differ by this share: all sides compute in bf16."""
SCORES_AGREE = 0.03
"""The correlation of scores with those in fp32 may be off 1 by so much: all sides have 16 bits."""
EXACT = 512
"""Pairs that are scored in fp32 as well."""
DENSE_BF16_TFLOPS = {"H100": 989, "H200": 989, "A100": 312, "L40S": 362, "L4": 121, "4090": 165}
"""What vendors' data sheets say of some GPUs."""
HEADER = ["model, step", "side", "pairs", "tokens a pair", "pairs a second", "wall ratio"]
HEADER += ["TFLOP/s", "of the best product", "of the data sheet", "off"]


@dataclass(frozen=True)
class Size:
    """A model's shape, and how much of it fits a measurement of some seconds."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    inner: int
    pairs: int
    groups_per_step: int
    steps: int


SIZES = {
    "minilm-l6": Size(30_522, 384, 6, 12, 1536, 8192, 16, 12),
    "bert-base": Size(30_522, 768, 12, 12, 3072, 4096, 16, 8),
    "xlm-roberta-large": Size(250_002, 1024, 24, 16, 4096, 2048, 8, 6),
}


def main() -> None:
    """Compare, and write the table."""
    parser = argparse.ArgumentParser(description="Scoring and training on a GPU, side by side.")
    parser.add_argument("--peers", required=True, help="Python that has FlagEmbedding")
    parser.add_argument("--models", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=2, help="alternations that count")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=128, help="pairs in a peer's batch")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shrink", type=int, default=1, help="divides the work, for a trial")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    own = inputs.own_python()
    sides = [
        Side("strop", "strop_side.py", own),
        Side("sentence-transformers", "sentence_transformers_side.py", own),
        Side("FlagEmbedding", "flagembedding_side.py", arguments.peers),
    ]
    with world(arguments) as folder, ExitStack() as stack:
        processes = [
            stack.enter_context(started(side, folder, arguments.threads)) for side in sides
        ]
        peak = processes[0].do("gemm")
        rows = []
        for step in ("scoring", "training"):
            for name in arguments.models:
                exact = run(processes, name, step, arguments.rounds)
                for process in processes:
                    off = distance(process, exact, step)
                    rows.append(row(process, processes[0], (name, step), folder, peak, off))
                print(*rows[-len(processes) :], sep="\n", flush=True)
        publish(arguments, rows, versions_of(processes), peak)


def publish(
    arguments: Any, rows: list[list[str]], versions: dict[str, str], peak: dict[str, Any]
) -> None:
    """Write the page."""
    sheet = data_sheet(peak["device"])
    said = f", {peak['tflops'] / sheet:.0%} of its data sheet's {sheet:.0f}" if sheet else ""
    page = results.markdown(
        "Scoring and training on a GPU",
        [
            *results.circumstances(versions, arguments.threads, "bf16"),
            f"GPU: {peak['device']}; its best bf16 product in this run: "
            f"{peak['tflops']:.0f} TFLOP/s{said}",
            "Ratio: the peer's wall seconds over strop's of neighbouring runs; median "
            f"(lowest–highest) of {arguments.rounds}",
            f"Random weights; drawn texts, every passage in {PAIRS_OF_A_PASSAGE} pairs; pairs of "
            f"at most {MAX_TOKENS} tokens; peers score in batches of {arguments.batch_size}; "
            "FlagEmbedding scores in fp16, which it has in place of bf16",
            f"Training: groups of {GROUP_SIZE}, "
            + ", ".join(f"{SIZES[m].groups_per_step} a step for {m}" for m in arguments.models)
            + "; dropout 0, AdamW, all sides from the same weights",
            "TFLOP/s: of training, those of the steps after the first; of strop's scoring, without "
            "tokenizing",
            f"Off: of scoring, what the correlation of {EXACT} scores with those in fp32 lacks to "
            f"1 (no ratio above {SCORES_AGREE:g}); of training, by which share the first step's "
            f"loss differs from strop's (no ratio above {LOSSES_AGREE:g})",
        ],
        HEADER,
        rows,
    )
    results.publish("speed_gpu", page, write=True)


def run(processes: list[Process], model: str, step: str, rounds: int) -> dict[str, Any]:
    """Every side's answers, in turn, after a short run that warms up; what they should be."""
    exact = []
    if step == "scoring":
        asked = {"model": model, "step": step, "limit": EXACT, "precision": "fp32"}
        exact = [processes[0].do("run", **asked)]
    warm = SIZES[model].groups_per_step if step == "training" else 512
    for process in processes:
        process.answers.clear()
        process.do("run", model=model, step=step, limit=warm)
    for number in range(rounds):
        for process in processes if number % 2 == 0 else processes[::-1]:
            answer = process.do("run", model=model, step=step)
            process.answers.append(answer | {"wall": answer.get("stepping", answer["wall"])})
        seconds = {
            process.side.name: round(process.answers[-1]["wall"], 2) for process in processes
        }
        print(model, step, seconds, flush=True)
    return exact[0] if step == "scoring" else processes[0].answers[-1]


def row(
    process: Process,
    ours: Process,
    what: tuple[str, str],
    folder: Path,
    peak: dict[str, Any],
    off: float,
) -> list[str]:
    """One side's row."""
    model, step = what
    lengths = np.array(json.loads((folder / model / f"{step}.lengths.json").read_bytes()))
    config = json.loads((folder / model / "model/config.json").read_bytes())
    itself = process is ours
    allowed = LOSSES_AGREE if step == "training" else SCORES_AGREE
    seconds = middle(process, "wall")
    if step == "training":
        first = GROUP_SIZE * SIZES[model].groups_per_step
        work = 3 * forward_gflop(config, lengths[first:], first_token_only=itself)
        busy = middle(process, "after_first")
    else:
        work = forward_gflop(config, lengths, first_token_only=itself)
        busy = seconds - median(a.get("tokenizing_wall", 0.0) for a in process.answers)
    rate, sheet = work / 1000 / busy, data_sheet(peak["device"])
    return [
        f"{model}, {step}",
        process.side.name,
        f"{len(lengths):,}",
        f"{lengths.mean():.0f}",
        f"{len(lengths) / seconds:,.0f}",
        "–" if itself or off > allowed else str(ratio(ours, process, "wall")),
        f"{rate:.0f}",
        f"{rate / peak['tflops']:.0%}",
        f"{rate / sheet:.0%}" if sheet else "–",
        f"{off:.1e}",
    ]


def data_sheet(device: str) -> float | None:
    """The dense bf16 TFLOP/s that a GPU's vendor names."""
    return next((rate for name, rate in DENSE_BF16_TFLOPS.items() if name in device), None)


def distance(process: Process, exact: dict[str, Any], step: str) -> float:
    """How far a side's results are from the exact ones; 16 bits explain a little."""
    answer = process.answers[-1]
    if step == "training":
        return float(abs(answer["losses"][0] / exact["losses"][0] - 1))
    expected = np.array(exact["scores"])
    return float(1 - np.corrcoef(np.array(answer["scores"])[: len(expected)], expected)[0, 1])


@contextmanager
def world(arguments: Any) -> Iterator[Path]:
    """A folder with pairs, groups and models of all sizes."""
    with tempfile.TemporaryDirectory(prefix="strop-gpu-") as name:
        folder = Path(name)
        (folder / "settings.json").write_text(json.dumps({"step": "gpu"}))
        for model in arguments.models:
            size, made = SIZES[model], folder / model
            made.mkdir()
            settings = {
                "max_tokens": MAX_TOKENS,
                "max_query": MAX_QUERY,
                "groups_per_step": size.groups_per_step,
                "learning_rate": 2e-5,
                "device": arguments.device,
                "half": arguments.device != "cpu",
                "batch_size": arguments.batch_size,
            }
            (made / "settings.json").write_text(json.dumps(settings))
            save_model(size, made / "model", arguments)
            save_texts(size, made, arguments)
        yield folder


def save_texts(size: Size, folder: Path, arguments: Any) -> None:
    """Pairs to score and groups to train, and how many tokens each of their pairs has."""
    random = np.random.default_rng(arguments.seed)
    count = size.pairs // arguments.shrink
    groups = max(2, size.groups_per_step * size.steps // arguments.shrink)
    passages = drawn_texts(random, max(count // PAIRS_OF_A_PASSAGE, GROUP_SIZE), middle=180)
    queries = drawn_texts(random, max(count // 32, groups), middle=10)
    picked = random.integers(0, len(passages), count)
    asked = np.sort(random.integers(0, len(queries), count))
    pairs = [(queries[q], passages[p]) for q, p in zip(asked, picked, strict=True)]
    inputs.write_lines(folder / "pairs.jsonl", pairs)
    members = [random.choice(len(passages), GROUP_SIZE, replace=False) for _ in range(groups)]
    trained = [
        {"query": queries[number], "texts": [passages[p] for p in chosen]}
        for number, chosen in enumerate(members)
    ]
    inputs.write_lines(folder / "groups.jsonl", trained)
    for step, drawn in (
        ("scoring", pairs),
        ("training", [(group["query"], text) for group in trained for text in group["texts"]]),
    ):
        lengths = [min(len(q.split()) + len(p.split()) + SPECIAL, MAX_TOKENS) for q, p in drawn]
        (folder / f"{step}.lengths.json").write_text(json.dumps(lengths))


def drawn_texts(random: np.random.Generator, count: int, *, middle: int) -> list[str]:
    """Texts of drawn words, some far longer than others."""
    lengths = np.clip(random.lognormal(np.log(middle), 0.5, count), 4, MAX_PASSAGE).astype(int)
    ranks = random.integers(0, WORDS, lengths.sum())
    words = [f"w{rank}" for rank in ranks.tolist()]
    ends = np.cumsum(lengths).tolist()
    return [" ".join(words[e - n : e]) for e, n in zip(ends, lengths.tolist(), strict=True)]


def save_model(size: Size, folder: Path, arguments: Any) -> None:
    """Random weights, and a tokenizer that knows the drawn words."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    from strop.pipeline.scoring.reranker import LoadedReranker, save_reranker

    torch.manual_seed(arguments.seed)
    with torch.device(arguments.device):
        model = BertForSequenceClassification(
            BertConfig(
                vocab_size=size.vocabulary,
                hidden_size=size.width,
                num_hidden_layers=size.layers,
                num_attention_heads=size.heads,
                intermediate_size=size.inner,
                max_position_embeddings=MAX_TOKENS,
                num_labels=1,
            )
        )
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{rank}" for rank in range(WORDS))]
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)})
    reranker = LoadedReranker(model.cpu().eval(), tokenizer)
    save_reranker(reranker, folder, max_tokens=MAX_TOKENS, card="For a benchmark.\n")


if __name__ == "__main__":
    main()
