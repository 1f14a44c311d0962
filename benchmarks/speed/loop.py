"""The whole loop of three rounds against the peers' scripts chained.

    python -m benchmarks.speed.loop DATA --peers PYTHON --scripts FLAGEMBEDDING/scripts

Every side mines for the same number of queries a round, scores as many pairs with the last round's
reranker from round 2 on, and trains as many pairs in groups of 16, each round from the last one's
weights. Every script is a process of its own, as a user starts it; what it loads counts. strop's
time is that of three times `strop round`, with everything that the scripts do not do: tables,
evaluation on dev, diagnosis and a report each round. The Prefect server runs before and beside it;
its time counts too.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.speed import inputs, results
from benchmarks.speed.chains import (
    GROUP,
    PASSAGE_TOKENS,
    QUERY_TOKENS,
    ROUNDS,
    SIDES,
    Chain,
    Spent,
    write_texts,
)
from benchmarks.speed.side_by_side import Ratio
from strop.pipeline.models import resolve_model

HEADER = ["side", "pairs trained", "CPU seconds", "CPU ratio", "wall ratio"]


def main() -> None:
    """Compare, and write the table."""
    parser = inputs.parser("The whole loop, side by side.")
    parser.add_argument("--scripts", type=Path, required=True)
    parser.add_argument("--queries", type=int, default=60, help="groups of 16 a round")
    given = parser.parse_args()
    times: dict[str, list[Spent]] = {name: [] for name in SIDES}
    with inputs.folder_with({"max_tokens": QUERY_TOKENS + PASSAGE_TOKENS}) as folder:
        for number in range(given.rounds):
            for name, side in SIDES.items():
                times[name].append(run(side, folder, f"{name}-{number}", given))
                print(name, times[name][-1], file=sys.stderr)
    page = results.markdown(
        "The whole loop: three rounds of mining and training",
        [
            *results.circumstances({}, given.threads),
            "Ratio: the peer's seconds over strop's of neighbouring runs; median (lowest–highest) "
            f"of {given.rounds}",
            f"{given.queries} queries a round, groups of {GROUP}, pairs of at most "
            f"{QUERY_TOKENS + PASSAGE_TOKENS} tokens",
            "strop's time includes its evaluation on dev in every round, its report and its server",
        ],
        HEADER,
        [row(name, times, given) for name in SIDES],
    )
    raise SystemExit(
        not results.publish(f"speed_loop_{given.data.name}", page, write=not given.quick)
    )


def row(name: str, times: Mapping[str, list[Spent]], given: Any) -> list[str]:
    """One side's row."""
    ours, theirs = times["strop"], times[name]
    ratios = []
    for clock in ("cpu", "wall"):
        values = [getattr(b, clock) / getattr(a, clock) for a, b in zip(ours, theirs, strict=True)]
        ratios.append(str(Ratio(median(values), min(values), max(values))))
    cpu = f"{median(item.cpu for item in theirs):.0f}"
    return [
        name,
        f"{ROUNDS * given.queries * GROUP:,}",
        cpu,
        *(["–", "–"] if name == "strop" else ratios),
    ]


def run(side: Callable[[Chain], Spent], folder: Path, name: str, given: Any) -> Spent:
    """One side's whole loop in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=name) as own:
        encoder = resolve_model("bundled").path
        chain = Chain(Path(own), folder / "model", encoder, given)
        write_texts(chain)
        return side(chain)


if __name__ == "__main__":
    main()
