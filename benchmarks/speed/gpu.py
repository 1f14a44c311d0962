"""Scoring, encoding and training on a GPU, in bf16, against the peers.

    python -m benchmarks.speed.gpu --peers PYTHON

Needs no data: texts are drawn, and models built like BERT, of three sizes, get random weights.
Every passage stands in several pairs, as in mining. Time is wall time: of scoring from texts to
scores and of encoding from texts to vectors, tokenizing included; of training from texts to the
last step, loading left out. TFLOP/s are of the products of the real tokens, where the last layer of
strop's scoring and training counts as what it computes and the peers' as a whole; of strop's
scoring they leave tokenizing out, which its loop does once a corpus, and of every training its
start and its first step. FlagEmbedding does not encode. Every step has a page, which is written
whenever a model is done; ``--steps`` and ``--models`` measure some of it.
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.speed import inputs, results
from benchmarks.speed.gpu_world import (
    ENCODED_TOKENS,
    GROUP_SIZE,
    MAX_TOKENS,
    PAIRS_OF_A_PASSAGE,
    SIZES,
    world,
)
from benchmarks.speed.side_by_side import (
    Process,
    Side,
    middle,
    ratio,
    started,
    versions_of,
)
from benchmarks.speed.work import forward_gflop

LOSSES_AGREE = 0.02
"""Losses of the first step may differ by this share: all sides compute in bf16."""
SCORES_AGREE = 0.03
"""The correlation of scores, and the mean cosine of vectors, with those in fp32 may be off 1 by so
much: all sides have 16 bits."""
EXACT = 512
"""Pairs that are scored and texts that are encoded in fp32 as well."""
DENSE_BF16_TFLOPS = {"H100": 989, "H200": 989, "A100": 312, "L40S": 362, "L4": 121, "4090": 165}
"""What vendors' data sheets say of some GPUs."""
STEPS = ("training", "scoring", "encoding")
HEADER = ["model", "side", "pairs or texts", "tokens each", "a second", "wall ratio"]
HEADER += ["TFLOP/s", "of the best product", "of the data sheet", "off"]
SETTING = {
    "training": "Groups of {group}, {steps}; dropout 0, AdamW, all sides from the same weights; "
    "TFLOP/s are those of the steps after the first",
    "scoring": "Peers score in batches of {batch}, FlagEmbedding in fp16, which it has in place of "
    "bf16; TFLOP/s of strop leave tokenizing out",
    "encoding": "Peers encode in batches of {batch}; texts of at most {encoded} tokens",
}
OFF = {
    "training": f"by which share the first step's loss differs from strop's; above {LOSSES_AGREE:g}"
    " there is no ratio",
    "scoring": f"what the correlation of {EXACT} scores with those in fp32 lacks to 1; above "
    f"{SCORES_AGREE:g} there is no ratio",
    "encoding": f"what the mean cosine of {EXACT} vectors to those in fp32 lacks to 1, and the "
    f"lowest; above {SCORES_AGREE:g} on average there is no ratio",
}


def main() -> None:
    """Compare, and write the table."""
    parser = argparse.ArgumentParser(description="Scoring, encoding and training, side by side.")
    parser.add_argument("--peers", required=True, help="Python that has FlagEmbedding")
    parser.add_argument("--models", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--rounds", type=int, default=2, help="alternations that count")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument(
        "--batch-size", type=int, default=128, help="pairs or texts in a peer's batch"
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument(
        "--shrink", type=int, default=1, help="divides the work, for a trial that writes no page"
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    own = inputs.own_python()
    sides = [
        Side("strop", "strop_side.py", own),
        Side("sentence-transformers", "sentence_transformers_side.py", own),
        Side("FlagEmbedding", "flagembedding_side.py", arguments.peers),
    ]
    with world(arguments) as folder, ExitStack() as stack:
        with ThreadPoolExecutor() as pool:  # they load together
            waiting = [started(side, folder, arguments.threads) for side in sides]
            processes = [*pool.map(stack.enter_context, waiting)]
        peak = processes[0].do("gemm")
        for step in arguments.steps:
            able, rows = processes[:2] if step == "encoding" else processes, []
            for name in arguments.models:
                exact = run(able, name, step, arguments.rounds, folder)
                for process in able:
                    rows.append(row(process, able[0], (name, step), folder, peak, exact))
                print(*rows[-len(able) :], sep="\n", flush=True)
                if arguments.shrink == 1:
                    publish(arguments, step, rows, versions_of(processes), peak)


def publish(
    arguments: Any,
    step: str,
    rows: list[list[str]],
    versions: dict[str, str],
    peak: dict[str, Any],
) -> None:
    """Write a step's page."""
    sheet = data_sheet(peak["device"])
    said = f", {peak['tflops'] / sheet:.0%} of its data sheet's {sheet:.0f}" if sheet else ""
    setting = SETTING[step].format(
        group=GROUP_SIZE,
        steps=", ".join(f"{SIZES[m].groups_per_step} a step for {m}" for m in arguments.models),
        batch=arguments.batch_size,
        encoded=ENCODED_TOKENS,
    )
    page = results.markdown(
        f"{step.capitalize()} on a GPU",
        [
            *results.circumstances(versions, arguments.threads, "bf16"),
            f"GPU: {peak['device']}; its best bf16 product in this run: "
            f"{peak['tflops']:.0f} TFLOP/s{said}",
            "Ratio: the peer's wall seconds over strop's of neighbouring runs; median "
            f"(lowest–highest) of {arguments.rounds}",
            f"Random weights; drawn texts, every passage in {PAIRS_OF_A_PASSAGE} pairs; pairs of "
            f"at most {MAX_TOKENS} tokens",
            setting,
            f"Off: {OFF[step]}",
        ],
        HEADER,
        rows,
    )
    name = f"speed_gpu_{step}_{results.slug(peak['device'])}"
    (results.RESULTS / f"{name}.md").write_text(page, encoding="utf-8")


def run(processes: list[Process], model: str, step: str, rounds: int, folder: Path) -> Any:
    """Every side's answers, in turn, after a short run that warms up; what they should be.

    A peer that runs out of memory has none.
    """
    exact: Any = None
    if step != "training":
        asked = {"model": model, "step": step, "limit": EXACT, "precision": "fp32"}
        answer = processes[0].do("run", **asked)
        exact = outcome(processes[0], answer, step, folder / model)
    warm = groups_per_step(folder / model) if step == "training" else 512
    able = []
    for process in processes:
        process.answers.clear()
        if "failed" not in process.do("run", model=model, step=step, limit=warm):
            able.append(process)
    for number in range(rounds):
        for process in able if number % 2 == 0 else able[::-1]:
            answer = process.do("run", model=model, step=step)
            if "failed" in answer:
                process.answers.clear()
                able = [other for other in able if other is not process]
                continue
            process.answers.append(answer | {"wall": answer.get("stepping", answer["wall"])})
        seconds = {process.side.name: round(process.answers[-1]["wall"], 2) for process in able}
        print(model, step, seconds, flush=True)
    if not processes[0].answers:
        raise RuntimeError(f"strop: out of memory in {step} of {model}")
    return processes[0].answers[-1]["losses"] if exact is None else exact


def row(
    process: Process,
    ours: Process,
    what: tuple[str, str],
    folder: Path,
    peak: dict[str, Any],
    exact: Any,
) -> list[str]:
    """One side's row; ``exact`` are the results that it should have."""
    model, step = what
    lengths = np.array(json.loads((folder / model / f"{step}.lengths.json").read_bytes()))
    config = json.loads((folder / model / "model/config.json").read_bytes())
    start = [model, process.side.name, f"{len(lengths):,}", f"{lengths.mean():.0f}"]
    if not process.answers:
        return [*start, "out of memory", *["–"] * (len(HEADER) - len(start) - 1)]
    itself, off = process is ours, distances(process, exact, step, folder / model)
    allowed = LOSSES_AGREE if step == "training" else SCORES_AGREE
    seconds = middle(process, "wall")
    if step == "training":
        first = GROUP_SIZE * groups_per_step(folder / model)
        work = 3 * forward_gflop(config, lengths[first:], first_token_only=itself)
        busy = middle(process, "after_first")
    else:
        partly = itself and step == "scoring"
        work = forward_gflop(config, lengths, first_token_only=partly)
        busy = seconds - median(a.get("tokenizing_wall", 0.0) for a in process.answers)
    rate, sheet = work / 1000 / busy, data_sheet(peak["device"])
    return [
        *start,
        f"{len(lengths) / seconds:,.0f}",
        "–" if itself or off[0] > allowed else str(ratio(ours, process, "wall")),
        f"{rate:.0f}",
        f"{rate / peak['tflops']:.0%}",
        f"{rate / sheet:.0%}" if sheet else "–",
        ", ".join(f"{value:.1e}" for value in off),
    ]


def groups_per_step(folder: Path) -> int:
    """The groups of a training step with a model."""
    return int(json.loads((folder / "settings.json").read_bytes())["groups_per_step"])


def data_sheet(device: str) -> float | None:
    """The dense bf16 TFLOP/s that a GPU's vendor names."""
    return next((rate for name, rate in DENSE_BF16_TFLOPS.items() if name in device), None)


def outcome(process: Process, answer: dict[str, Any], step: str, folder: Path) -> Any:
    """A side's results of a run: scores, vectors, or the losses of the steps."""
    if step == "encoding":
        return np.load(folder / f"{process.side.name}.npy")
    return np.array(answer["losses" if step == "training" else "scores"])


def distances(process: Process, exact: Any, step: str, folder: Path) -> list[float]:
    """How far a side's results are from the exact ones; 16 bits explain a little."""
    found = outcome(process, process.answers[-1], step, folder)[: len(exact)]
    if step == "training":
        return [float(abs(found[0] / exact[0] - 1))]
    if step == "scoring":
        return [float(1 - np.corrcoef(found, exact)[0, 1])]
    cosines = (found.astype(np.float64) * exact).sum(axis=1)
    return [float(1 - cosines.mean()), float(1 - cosines.min())]


if __name__ == "__main__":
    main()
