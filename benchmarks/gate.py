"""The gate benchmark: promotions that strop's decisions get wrong where the truth is known.

    python benchmarks/gate.py

Every night brings three rounds, whose true quality is above the first champion's by a known gain:
once one of them is champion, nothing better comes. Nights are decided in three ways, by strop's own
`accept` and `promote`:

- *gate*: rounds are accepted on dev, the last accepted is promoted on the gate's own queries;
- *dev reused*: the best of the rounds on dev is promoted on dev, with the same test;
- *dev, no test*: the best of the rounds on dev is promoted whenever it is above the champion there.

The same queries serve all nights, so that luck on them can add up: *drift* is what the champion's
measured quality on the split that decided is above its true one, more than at the start.
"""

import argparse
import datetime
import importlib.metadata
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa

from strop.artifacts.schemas import METRICS_PER_QUERY
from strop.pipeline.arrays import Floats
from strop.pipeline.evaluation.decision import Contender, DecisionRule, accept, promote
from strop.pipeline.seeds import generator

GAINS = (0.0, 0.01, 0.03)
START = 0.6
"""True nDCG@10 of the first champion."""
ROUNDS = 3
SIGMA = 1.5
"""Spread of the log ranks of the queries' positives."""
QUANTILES = (np.arange(200_000) + 0.5) / 200_000
HEADER = (
    "decided on",
    "true gain",
    "queries",
    "false promotions",
    "missed nights",
    "never promoted",
    "true quality",
    "drift",
)


def ndcg(skill: Floats) -> Floats:
    """nDCG@10 of one positive whose log rank is minus the skill; ranks start at 1."""
    rank = np.floor(np.exp(np.clip(-skill, 0, 10))) + (skill < 0)
    return np.where(rank <= 10, 1 / np.log2(1 + rank), 0.0)


class World:
    """True qualities: a system's skills over queries are normal, and its quality is their mean."""

    def __init__(self, spread: float) -> None:
        """Fit levels of skill to qualities, and the correlation to the spread of differences."""
        from scipy.stats import norm

        normal = norm.ppf(QUANTILES)
        levels = np.linspace(-4, 6, 201)
        self._levels = levels
        self._qualities = np.array([ndcg(level + SIGMA * normal).mean() for level in levels])
        self.correlation = self._fit(spread, normal)

    def level(self, quality: float) -> float:
        """The mean skill of a system of this quality."""
        return float(np.interp(quality, self._qualities, self._levels))

    def _fit(self, spread: float, normal: Floats) -> float:
        other = generator(0, "fit").permutation(normal)
        level, low, high = self.level(START), 0.0, 1.0
        for _ in range(30):
            middle = (low + high) / 2
            moved = level + SIGMA * (middle * normal + np.sqrt(1 - middle**2) * other)
            wide = np.std(ndcg(moved) - ndcg(level + SIGMA * normal)) > spread
            low, high = (middle, high) if wide else (low, middle)
        return high


@dataclass(frozen=True)
class System:
    """A reranker: its true quality, and its deviation in skill on every query of each split."""

    quality: float
    deviation: dict[str, Floats]

    def measured(self, world: World, split: str) -> Floats:
        """nDCG@10 of the split's queries."""
        return ndcg(world.level(self.quality) + SIGMA * self.deviation[split])

    def successor(self, world: World, quality: float, rng: np.random.Generator) -> "System":
        """A reranker trained from this one: of another true quality, and lucky elsewhere."""
        rho = world.correlation
        return System(
            quality,
            {
                split: rho * old + np.sqrt(1 - rho**2) * rng.standard_normal(len(old))
                for split, old in self.deviation.items()
            },
        )


@dataclass
class Count:
    """What became of the nights of one simulated run."""

    false: int = 0
    missed: int = 0
    promoted: bool = False
    quality: float = 0.0
    drift: float = 0.0


@dataclass(frozen=True)
class Bench:
    """What all ways of deciding share in one simulated run."""

    world: World
    rule: DecisionRule
    seed: int

    def contender(self, system: System, name: str, split: str) -> Contender:
        """The system as strop's decisions want it."""
        values = system.measured(self.world, split)
        ids = pa.array([f"q{number}" for number in range(len(values))])
        columns = {
            "query_id": ids,
            "group_id": ids,
            "split": pa.repeat(split, len(values)),
            "ranking": pa.repeat("fused", len(values)),
            "depth": np.full(len(values), 50, np.int32),
            "metric": pa.repeat("nDCG@10", len(values)),
            "value": values,
        }
        return Contender(name, "fused", pa.table(columns).cast(METRICS_PER_QUERY))

    def better(self, challenger: System, champion: System, split: str, night: int) -> bool:
        """Whether strop promotes the challenger on this split."""
        sides = (self.contender(challenger, "c", split), self.contender(champion, "o", split))
        return promote(*sides, split=split, seed=self.seed + night, rule=self.rule).promoted

    def last_accepted(self, rounds: list[System], champion: System, night: int) -> System | None:
        """The last round that strop accepts on dev, each against the last accepted before it."""
        last, found = champion, None
        for number, system in enumerate(rounds):
            sides = (self.contender(system, "c", "dev"), self.contender(last, "o", "dev"))
            seed = self.seed + ROUNDS * night + number
            if accept(*sides, seed=seed, rule=self.rule).accepted:
                last = found = system
        return found

    def best_on_dev(self, rounds: list[System]) -> System:
        """The round with the highest mean there."""
        return max(rounds, key=lambda system: system.measured(self.world, "dev").mean())


def on_gate(bench: Bench, rounds: list[System], champion: System, night: int) -> System | None:
    """What strop does."""
    found = bench.last_accepted(rounds, champion, night)
    return found if found and bench.better(found, champion, "gate", night) else None


def on_dev(bench: Bench, rounds: list[System], champion: System, night: int) -> System | None:
    """The same test on the split that chose the round."""
    best = bench.best_on_dev(rounds)
    return best if bench.better(best, champion, "dev", night) else None


def untested(bench: Bench, rounds: list[System], champion: System, night: int) -> System | None:
    """Whatever is above the champion on dev."""
    best = bench.best_on_dev([champion, *rounds])  # of equals the champion, who comes first
    return None if best is champion else best


Way = Callable[[Bench, list[System], System, int], System | None]
WAYS: dict[str, tuple[Way, str]] = {
    "gate": (on_gate, "gate"),
    "dev reused": (on_dev, "dev"),
    "dev, no test": (untested, "dev"),
}


def simulate(bench: Bench, way: str, *, gain: float, queries: int, nights: int) -> Count:
    """One run of some nights."""
    decide, split = WAYS[way]
    rng = generator(bench.seed, "gate benchmark")  # the same luck for every way and gain
    skills = {name: rng.standard_normal(queries) for name in ("dev", "gate")}
    champion, count = System(START, skills), Count()
    excess = champion.measured(bench.world, split).mean() - champion.quality
    for night in range(nights):
        rounds = list(_rounds(bench.world, champion, START + gain, rng))
        found = decide(bench, rounds, champion, night)
        is_gain = START + gain > champion.quality
        count.missed += is_gain and found is None
        count.false += found is not None and not is_gain
        count.promoted |= is_gain and found is not None
        champion = found or champion
    count.quality = champion.quality
    measured = champion.measured(bench.world, split).mean()
    count.drift = float(measured - champion.quality - excess)
    return count


def _rounds(
    world: World, champion: System, quality: float, rng: np.random.Generator
) -> Iterator[System]:
    system = champion
    for _ in range(ROUNDS):
        system = system.successor(world, quality, rng)
        yield system


def table(arguments: argparse.Namespace) -> Iterator[list[str]]:
    """One row a way of deciding, gain and size of the splits: means over the runs."""
    world = World(arguments.spread)
    rule = DecisionRule(samples=arguments.samples)
    for way in WAYS:
        for queries, gain in product(arguments.queries, GAINS):
            size = {"queries": queries, "nights": arguments.nights}
            benches = [Bench(world, rule, 1000 * number) for number in range(arguments.runs)]
            counts = [simulate(bench, way, gain=gain, **size) for bench in benches]
            yield row(way, gain, queries, counts)


def row(way: str, gain: float, queries: int, counts: list[Count]) -> list[str]:
    """Means over runs, the drift with its standard error."""
    drifts = np.array([count.drift for count in counts])
    error = drifts.std(ddof=1) / np.sqrt(len(drifts))
    never = sum(not count.promoted for count in counts)
    return [
        way,
        f"{gain:g}",
        f"{queries:,}",
        f"{np.mean([count.false for count in counts]):.1f}",
        f"{np.mean([count.missed for count in counts]):.1f}" if gain else "–",
        f"{never} of {len(counts)}" if gain else "–",
        f"{np.mean([count.quality for count in counts]):.3f}",
        f"{drifts.mean():+.3f} ± {error:.3f}",
    ]


def markdown(rows: list[list[str]], arguments: argparse.Namespace) -> str:
    """The result file: what was run, and the table."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "pyarrow")]
    strop = importlib.metadata.version("strop")
    sizes = " ".join(map(str, arguments.queries))
    facts = {
        "Command": f"`python benchmarks/gate.py --nights {arguments.nights} --runs {arguments.runs}"
        f" --queries {sizes} --samples {arguments.samples} --spread {arguments.spread:g}`",
        "Date": datetime.date.today().isoformat(),
        "Versions": ", ".join([f"Python {platform.python_version()}", f"strop {strop}", *versions]),
        "Simulation": f"{arguments.runs} runs of {arguments.nights} nights of {ROUNDS} rounds; one "
        f"positive a query, true nDCG@10 {START:g} at the start; the differences between a round "
        f"and the one before have a standard deviation of {arguments.spread:g} over queries",
        "Columns": "means over the runs: nights that promoted without a true gain; nights on which "
        "the true gain was there and not promoted; runs that never promoted it; the champion's "
        "true quality at the end; how much more its measured quality is above the true one than "
        "the first champion's was, on the split that decided, with the standard error",
    }
    lines = ["# The promotion gate on known gains", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "| " + " | ".join(HEADER) + " |", "|---|" + "---:|" * (len(HEADER) - 1)]
    lines += ["| " + " | ".join(cells) + " |" for cells in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description="Promotions on known gains.")
    parser.add_argument("--nights", type=int, default=50)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--queries", type=int, nargs="+", default=[200, 600])
    parser.add_argument("--samples", type=int, default=500, help="resamples of each test")
    parser.add_argument("--spread", type=float, default=0.13)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/gate.md")
    arguments = parser.parse_args()
    rows = []
    for cells in table(arguments):
        print(" | ".join(cells), flush=True)
        rows.append(cells)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(markdown(rows, arguments), encoding="utf-8")


if __name__ == "__main__":
    main()
