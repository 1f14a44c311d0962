"""Training with exact gradients against FlagEmbedding's trainer and `CrossEncoderTrainer`.

    python -m benchmarks.speed.training DATA --peers PYTHON

All sides train the same groups of 16 in the same order with the group softmax, dropout 0, AdamW and
a constant learning rate, from the same weights; loading these and tokenizing are in all times. A
ratio is reported only when the losses of all steps agree.
"""

from typing import Any

import numpy as np

from benchmarks.speed import inputs, results
from benchmarks.speed.side_by_side import Process, Side, alternate, middle, ratio, versions_of

TOLERANCE = 5e-5
"""Losses of a step may differ by this share: FlagEmbedding's transformers rounds to 4 decimals."""
HALF_TOLERANCE = 0.01
"""The same in bf16, which every side rounds to at other places."""
GROUP_SIZE = 16
HEADER = ["passages", "pairs", "pairs a CPU second", "CPU ratio", "wall ratio", "memory, MB"]
HEADER += ["first losses", "largest difference of losses"]


def main() -> None:
    """Compare, and write or check the table."""
    parser = inputs.parser("Training, side by side.")
    parser.add_argument("--join", type=int, nargs="+", default=[1])
    parser.add_argument("--groups-per-step", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    arguments = inputs.parsed(parser)
    rows: list[list[str]] = []
    versions: dict[str, str] = {}
    for join in arguments.join:
        processes = compare(arguments, join)
        allowed = HALF_TOLERANCE if arguments.precision == "bf16" else TOLERANCE
        rows += [row(process, processes[0], join, allowed) for process in processes]
        versions |= versions_of(processes)
    page = results.markdown(
        "Training with exact gradients",
        [
            *results.circumstances(versions, arguments.threads, arguments.precision),
            "Ratio: the peer's seconds over strop's of neighbouring runs; median (lowest–highest) "
            f"of {arguments.rounds}; groups of {GROUP_SIZE}, {arguments.groups_per_step} a step, "
            f"{arguments.steps} steps from the same weights, dropout 0, {arguments.precision}",
            "Memory: what a process grew by over what it had after loading its libraries",
            "strop, two passes: `training.gradients: two_pass` (GradCache), which keeps the graph "
            "of one micro-batch at a time",
        ],
        HEADER,
        rows,
    )
    joined = "".join(f"_by_{join}" for join in arguments.join if join > 1)
    half = "_bf16" if arguments.precision == "bf16" else ""
    name = f"speed_training_{arguments.data.name}{joined}{half}"
    raise SystemExit(not results.publish(name, page, write=not arguments.quick))


def compare(arguments: Any, join: int) -> list[Process]:
    """The sides after their runs."""
    settings = {
        "step": "training",
        "max_tokens": 512,
        "max_query": 64,
        "groups_per_step": arguments.groups_per_step,
        "learning_rate": 2e-5,
        "half": arguments.precision == "bf16",
    }
    own = inputs.own_python()
    sides = [
        Side("strop", "strop_side.py", own),
        Side("strop, two passes", "strop_two_pass_side.py", own),
        Side("sentence-transformers", "sentence_transformers_side.py", own),
        Side("FlagEmbedding", "flagembedding_side.py", arguments.peers),
    ]
    groups = inputs.drawn_groups(
        arguments.data,
        join=join,
        groups=arguments.groups_per_step * arguments.steps,
        size=GROUP_SIZE,
        seed=arguments.seed,
    )
    with inputs.folder_with(settings) as folder:
        inputs.write_lines(folder / "groups.jsonl", groups)
        return alternate(sides, folder, threads=arguments.threads, rounds=arguments.rounds, warm=1)


def row(process: Process, ours: Process, join: int, allowed: float) -> list[str]:
    """One side's row; raises `RuntimeError` when its losses differ from strop's."""
    losses, expected = (np.array(side.answers[-1]["losses"]) for side in (process, ours))
    if len(losses) != len(expected):
        raise RuntimeError(f"{process.side.name}: {len(losses)} steps, not {len(expected)}")
    difference = float(np.abs(losses / expected - 1).max())
    if difference > allowed:
        raise RuntimeError(f"{process.side.name}: losses {losses} differ from {expected}; no ratio")
    itself = process is ours
    pairs = process.answers[-1]["pairs"]
    return [
        f"{process.side.name}, passages of {join}",
        f"{pairs:,}",
        f"{pairs / middle(process, 'cpu'):.1f}",
        "–" if itself else str(ratio(ours, process)),
        "–" if itself else str(ratio(ours, process, "wall")),
        f"{max(answer['peak_mb'] for answer in process.answers) - process.loaded_mb:,.0f}",
        ", ".join(f"{loss:.4f}" for loss in losses[:2]),
        "–" if itself else f"{difference:.1e}",
    ]


if __name__ == "__main__":
    main()
