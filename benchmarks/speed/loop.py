"""The whole loop of three rounds against the peers' scripts chained.

    python -m benchmarks.speed.loop DATA --peers PYTHON --scripts FLAGEMBEDDING/scripts

Every side mines for the same number of queries a round, scores as many pairs with the last round's
reranker from round 2 on, and trains as many pairs in groups of 16, each round from the last one's
weights. Every script is a process of its own, as a user starts it; what it loads counts. strop's
time is that of three times `strop round`, with everything that the scripts do not do: tables,
evaluation on dev, diagnosis and a report each round. The Prefect server runs before and beside it;
its time counts too. What the rerankers of the first turn are worth on test is told round by round.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.speed import inputs, results
from benchmarks.speed.chains import (
    GROUP,
    MADE,
    PASSAGE_TOKENS,
    QUERY_TOKENS,
    ROUNDS,
    SIDES,
    Chain,
    Spent,
    Trained,
    measured,
    write_texts,
)
from benchmarks.speed.side_by_side import Ratio
from strop.pipeline.models import resolve_model

HEADER = ["side", "pairs trained", "CPU seconds", "CPU ratio", "wall ratio", "nDCG@10, test"]
BY_ROUND = ["side", *(f"round {number}" for number in range(1, ROUNDS + 1))]
HALF = (
    "bf16: every side trains and scores in it, strop and sentence-transformers encode in it too; "
    "FlagEmbedding's encoder has fp16 in its place, which a CPU does not take"
)


def main() -> None:
    """Compare, and write the table."""
    parser = inputs.parser("The whole loop, side by side.")
    parser.add_argument("--scripts", type=Path, required=True)
    parser.add_argument("--queries", type=int, default=120, help="groups of 16 a round")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    given = inputs.parsed(parser)
    times: dict[str, list[Spent]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory(prefix="strop-loop-") as folder:
        for number in range(given.rounds):
            chains = {name: chain(Path(folder) / f"{name}-{number}", given) for name in SIDES}
            rounds = {}
            for name, side in SIDES.items():
                rounds[name] = side(chains[name])
                times[name].append(sum(rounds[name], Spent()))
                print(name, *rounds[name], file=sys.stderr)
            if number == 0:
                first, quality = rounds, measured(chains["strop"], _outside(chains))
    page = results.markdown(
        "The whole loop: three rounds of mining and training",
        [
            *results.circumstances(versions(given), given.threads, given.precision),
            "Ratio: the peer's seconds over strop's of neighbouring runs; median (lowest–highest) "
            f"of {given.rounds}",
            f"{given.queries} queries a round, groups of {GROUP}, pairs of at most "
            f"{QUERY_TOKENS + PASSAGE_TOKENS} tokens",
            "strop's time includes its evaluation on dev in every round, its report and its "
            "server; it trains without dropout, with the embeddings and two layers as they are",
            *([HALF] if given.precision == "bf16" else []),
            "nDCG@10: of the first turn's reranker alone, one training of each side",
        ],
        HEADER,
        [[*row(name, times, given), f"{quality[name, ROUNDS]:.3f}"] for name in SIDES],
    )
    page += "\nFirst turn: CPU seconds until the end of each round, and nDCG@10 then\n\n"
    page += results.table(BY_ROUND, [by_round(name, first[name], quality) for name in SIDES])
    half = "_bf16" if given.precision == "bf16" else ""
    name = f"speed_loop_{given.data.name}{half}"
    raise SystemExit(not results.publish(name, page, write=not given.quick))


def by_round(name: str, spent: Sequence[Spent], quality: Mapping[Trained, float]) -> list[str]:
    """What a side has reached after every round, and by when."""
    until = accumulate(item.cpu for item in spent)
    told = [f"{cpu:.0f} s: {quality[name, n]:.3f}" for n, cpu in enumerate(until, start=1)]
    return [name, *told]


def _outside(chains: Mapping[str, Chain]) -> dict[Trained, Path]:
    """The peers' rerankers of all rounds."""
    return {
        (name, number + 1): chains[name].folder / place.format(number)
        for name, place in MADE.items()
        for number in range(ROUNDS)
    }


def versions(given: Any) -> dict[str, str]:
    """The versions of all sides; FlagEmbedding's is that of its own environment."""
    code = "from importlib.metadata import version; print(version('FlagEmbedding'))"
    peer = subprocess.check_output([given.peers, "-c", code], text=True).strip()
    names = ("strop", "torch", "transformers", "sentence-transformers")
    return {"FlagEmbedding": peer, **{name: version(name) for name in names}}


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


def chain(folder: Path, given: Any) -> Chain:
    """A side's folder with what it reads."""
    folder.mkdir()
    made = Chain(folder, resolve_model("bundled").path, given)
    write_texts(made)
    return made


if __name__ == "__main__":
    main()
