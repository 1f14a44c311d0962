"""Encoding against `SentenceTransformer.encode`.

    python -m benchmarks.speed.encoding DATA --peers PYTHON

Tokenizing is in all times. A ratio is reported only when all vectors agree to 1e-5.
"""

from typing import Any

import numpy as np

from benchmarks.speed import inputs, results
from benchmarks.speed.side_by_side import Process, Side, alternate, middle, ratio, versions_of
from strop.pipeline.models import resolve_model

TOLERANCE = 1e-5
HEADER = ["texts", "count", "texts a CPU second", "CPU ratio", "wall ratio", "largest difference"]


def main() -> None:
    """Compare, and write or check the table."""
    parser = inputs.parser("Encoding, side by side.")
    parser.add_argument("--join", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--texts", type=int, default=512)
    arguments = inputs.parsed(parser)
    rows: list[list[str]] = []
    versions: dict[str, str] = {}
    for join in arguments.join:
        count = arguments.texts // join
        processes, difference = compare(arguments, join, count)
        for process in processes:
            rows.append(row(process, processes[0], f"{process.side.name}, passages of {join}"))
            rows[-1] += [f"{difference:.1e}" if process is not processes[0] else "–"]
            rows[-1].insert(1, f"{count:,}")
            rows[-1].insert(2, f"{count / middle(process, 'cpu'):.1f}")
        versions |= versions_of(processes)
    page = results.markdown(
        "Encoding",
        [
            *results.circumstances(versions, arguments.threads),
            "Ratio: the peer's seconds over strop's of neighbouring runs; median (lowest–highest) "
            f"of {arguments.rounds}; tokenizing included, vectors equal to {TOLERANCE:g}",
        ],
        HEADER,
        rows,
    )
    name = f"speed_encoding_{arguments.data.name}"
    raise SystemExit(not results.publish(name, page, write=not arguments.quick))


def compare(arguments: Any, join: int, count: int) -> tuple[list[Process], float]:
    """The sides after their runs, and the largest difference between their vectors."""
    settings = {
        "step": "encoding",
        "max_tokens": 256,
        "encoder_tokens": 256,
        "bi_encoder": str(resolve_model("bundled").path),
    }
    own = inputs.own_python()
    sides = [
        Side("strop", "strop_side.py", own),
        Side("sentence-transformers", "sentence_transformers_side.py", own),
    ]
    _, passages, _ = inputs.read_beir(arguments.data, join=join)
    with inputs.folder_with(settings) as folder:
        inputs.write_lines(folder / "texts.jsonl", passages[:count])
        processes = alternate(sides, folder, threads=arguments.threads, rounds=arguments.rounds)
        ours, theirs = (np.load(folder / f"{side.name}.npy") for side in sides)
    difference = float(np.abs(ours - theirs).max())
    if difference > TOLERANCE:
        raise RuntimeError(f"vectors differ by {difference:.2g}; no ratio")
    return processes, difference


def row(process: Process, ours: Process, name: str) -> list[str]:
    """A row's name and its two ratios."""
    if process is ours:
        return [name, "–", "–"]
    return [name, str(ratio(ours, process)), str(ratio(ours, process, "wall"))]


if __name__ == "__main__":
    main()
