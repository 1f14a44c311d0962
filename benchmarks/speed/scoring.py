"""Scoring against `CrossEncoder.predict` and `FlagReranker.compute_score`.

    python -m benchmarks.speed.scoring DATA --peers PYTHON [--join 5]

``DATA`` is a BEIR folder; ``--join`` makes longer passages of several in a row. Tokenizing is in
all times. A ratio is reported only when all scores agree to 1e-5.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed import inputs, results
from benchmarks.speed.side_by_side import (
    Process,
    Side,
    alternate,
    middle,
    ratio,
    started,
    versions_of,
)
from benchmarks.speed.work import forward_gflop

TOLERANCE = 1e-5
HEADER = ["passages", "pairs", "tokens a pair", "side", "pairs a CPU second", "CPU ratio"]
HEADER += ["wall ratio", "largest difference"]


def main() -> None:
    """Compare, and write or check the table."""
    parser = inputs.parser("Scoring, side by side.")
    parser.add_argument("--join", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--pairs", type=int, default=192)
    arguments = inputs.parsed(parser)
    rows: list[list[str]] = []
    facts: list[str] = []
    versions: dict[str, str] = {}
    for join in arguments.join:
        pairs = arguments.pairs // (2 if join > 1 else 1)
        found, notes, used = compare(arguments, join, pairs)
        rows += found
        facts += notes
        versions |= used
    page = results.markdown(
        "Scoring",
        [
            *results.circumstances(versions, arguments.threads),
            "Ratio: the peer's seconds over strop's of neighbouring runs; median (lowest–highest) "
            f"of {arguments.rounds}; tokenizing included, scores equal to {TOLERANCE:g}",
            *facts,
        ],
        HEADER,
        rows,
    )
    name = f"speed_scoring_{arguments.data.name}"
    raise SystemExit(not results.publish(name, page, write=not arguments.quick))


def compare(
    arguments: Any, join: int, pairs: int
) -> tuple[list[list[str]], list[str], dict[str, str]]:
    """The rows and facts of one length of passages, and the versions that were used."""
    settings = {"step": "scoring", "max_tokens": 512, "max_query": 64}
    groups = inputs.drawn_groups(
        arguments.data, join=join, groups=max(2, pairs // 16), size=16, seed=arguments.seed
    )
    drawn = [(group["query"], text) for group in groups for text in group["texts"]]
    own = inputs.own_python()
    sides = [
        Side("strop", "strop_side.py", own),
        Side("sentence-transformers", "sentence_transformers_side.py", own),
        Side("FlagEmbedding", "flagembedding_side.py", arguments.peers),
    ]
    with inputs.folder_with(settings) as folder:
        inputs.write_lines(folder / "pairs.jsonl", drawn)
        processes = alternate(sides, folder, threads=arguments.threads, rounds=arguments.rounds)
        with started(sides[0], folder, arguments.threads) as strop:
            rates = strop.do("gemm")
        lengths = token_lengths(folder / "model", drawn)
        config = json.loads((folder / "model/config.json").read_bytes())
    ours = processes[0]
    rows = [row(process, ours, join, lengths) for process in processes]
    work = forward_gflop(config, lengths, first_token_only=True)
    seconds = [answer["cpu"] - answer["tokenizing"] for answer in ours.answers]
    rate = work / float(np.median(seconds))
    share = float(np.median([answer["tokenizing"] / answer["cpu"] for answer in ours.answers]))
    facts = [
        f"passages of {join}: strop's forward passes run at {rate:.0f} GFLOP/s without padding, "
        f"{rate / rates['torch_gflops']:.0%} of PyTorch's own fp32 GEMM rate "
        f"({rates['torch_gflops']:.0f}) and {rate / rates['onednn_gflops']:.0%} of oneDNN's "
        f"({rates['onednn_gflops']:.0f}), both measured in the same run; tokenizing takes "
        f"{share:.1%} of strop's time"
    ]
    return rows, facts, versions_of(processes)


def row(process: Process, ours: Process, join: int, lengths: Any) -> list[str]:
    """One side's row; raises `RuntimeError` when its scores differ from strop's."""
    scores, expected = (np.array(side.answers[-1]["scores"]) for side in (process, ours))
    difference = float(np.abs(scores - expected).max())
    if difference > TOLERANCE:
        raise RuntimeError(f"{process.side.name}: scores differ by {difference:.2g}; no ratio")
    itself = process is ours
    return [
        f"{process.side.name}, passages of {join}",
        f"{len(scores):,}",
        f"{lengths.mean():.0f}",
        process.side.name,
        f"{len(scores) / middle(process, 'cpu'):.1f}",
        "–" if itself else str(ratio(ours, process)),
        "–" if itself else str(ratio(ours, process, "wall")),
        "–" if itself else f"{difference:.1e}",
    ]


def token_lengths(model: Path, pairs: list[tuple[str, str]]) -> Any:
    """Tokens of every pair, special tokens included."""
    from strop.pipeline.scoring.reranker import load_tokenizer

    encoded = load_tokenizer(model)(
        [query for query, _ in pairs], [text for _, text in pairs], truncation=True, max_length=512
    )
    return np.array([len(ids) for ids in encoded["input_ids"]])


if __name__ == "__main__":
    main()
