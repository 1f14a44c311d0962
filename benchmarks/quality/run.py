"""Is a reranker from strop better than one from the scripts that people have?

    python benchmarks/quality/run.py DATA --peers PYTHON --scripts FOLDER

All arms start from the same base, first stage and training queries, with an equal number of trained
pairs, each with the learning rate that ranks dev best, or that was chosen on another data set
(``--chosen``, for the arms that it names alone). Test is read once an arm, at the end. What was
made is kept under ``--out``: the same command goes on where it was stopped.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from peers import ARMS, Peers, Task, train
from table import markdown
from texts import write_texts

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.pipeline.config import BUNDLED, CHANGES
from strop.pipeline.models import resolve_model

PRESETS = ("static", "no-remine", "fresh-start", "self", "cross-fit")
CONFIG = Path(__file__).with_name("config.yaml")
RATES = "rates.json"
"""Where every arm's learning rate is kept in ``--out``."""


def put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a value of nested sections by its dotted key."""
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[last] = value


def arm_name(recipe: str, rate: float) -> str:
    """The name of a recipe with a learning rate."""
    return f"{recipe}-{rate:.0e}"


class Benchmark:
    """One data set's arms in one store."""

    def __init__(self, given: argparse.Namespace) -> None:
        """Write the config that all arms share."""
        self.given = given
        self.out: Path = given.out.absolute()
        self.out.mkdir(parents=True, exist_ok=True)
        values = yaml.safe_load(CONFIG.read_text())
        values |= {"dataset": str(given.data.absolute()), "execution": {"threads": given.threads}}
        # Queries that no group is trained on would be scored for nothing.
        groups = given.pairs // values["rounds"] // values["mining"]["group_size"]
        values["mining"]["queries_per_round"] = max(2, round(1.1 * groups))
        for key, value in given.changes:
            put(values, key, value)
        (self.out / "strop.yaml").write_text(yaml.safe_dump(values))
        named = given.chosen or {}
        self.presets = [name for name in PRESETS if not named or name in named]
        self.rates: Sequence[float] = sorted(set(named.values())) or given.rates
        encoder = resolve_model(BUNDLED).path
        self.peers = Peers(given.peers, given.scripts, encoder, given.threads)

    def choose_rates(self) -> dict[str, float]:
        """Every arm's learning rate, by fused nDCG on dev at the first seed unless it is given."""
        rates = self.rates
        if self.given.chosen:
            return dict(self.given.chosen)
        ours = {arm_name(name, rate): (name, rate) for name in PRESETS for rate in rates}
        self._experiment(ours)
        outside = {
            arm_name(arm, rate): self._trained(arm, rate, 1) for arm in ARMS for rate in rates
        }
        rows = self._experiment(ours, outside)["differences"]
        found = {row["arm"]: row["value"] for row in rows if row["ranking"] == "fused"}
        return {
            name: max(rates, key=lambda rate: found[arm_name(name, rate)])
            for name in (*PRESETS, *ARMS)
        }

    def final(self, rates: dict[str, float], opponent: str) -> dict[str, Any]:
        """All seeds of every arm with its rate, on test, against one arm."""
        ours = {arm_name(name, rates[name]): (name, rates[name]) for name in self.presets}
        if opponent == ARMS[0]:
            self._experiment(ours, seeds=self.given.seeds)  # makes the bases of all seeds
        outside = {}
        for arm in ARMS:
            for seed in range(1, self.given.seeds + 1):
                folder = self._trained(arm, rates[arm], seed)
            outside[arm_name(arm, rates[arm])] = folder.replace(f"seed-{seed}", "seed-{seed}")
        return self._experiment(
            ours,
            outside,
            seeds=self.given.seeds,
            split="test",
            opponent=arm_name(opponent, rates[opponent]),
        )

    def _trained(self, arm: str, rate: float, seed: int) -> str:
        """The folder of a peer's model."""
        store, made = self.prepared(seed)
        texts = self.out / "texts"
        if not texts.exists():
            write_texts(store, made["dataset"], texts)
        out = self.out / "peers" / arm / f"{rate:g}" / f"seed-{seed}"
        base = store.folder(made["reranker"])
        print(f"{arm}, {rate:g}, seed {seed}", flush=True)
        train(self.peers, Task(arm, base, texts, out, self.given.pairs, rate, seed))
        return str(out / "model")

    def prepared(self, seed: int) -> tuple[Store, Mapping[str, ArtifactRef]]:
        """The store, and what all runs of a seed share."""
        store = Store(self.out / "store")
        runs = (Run(store, name) for name in self._names(seed))
        return store, next(run for run in runs if run.config_or_none()).parts()["prepare"]

    def _names(self, seed: int) -> list[str]:
        """Runs of this seed, any of which has the base."""
        return [f"quality.{arm_name(p, r)}.seed-{seed}" for p in self.presets for r in self.rates]

    def _experiment(
        self, arms: dict[str, tuple[str, float]], outside: dict[str, str] | None = None, **how: Any
    ) -> dict[str, Any]:
        """Presets with a learning rate each."""
        found = []
        for name, (preset, rate) in arms.items():
            values = {**CHANGES[preset], "training.learning_rate": rate}
            settings = " ".join(f"{key}={json.dumps(value)}" for key, value in values.items())
            found.append(f"{name}: {settings}")
        return self.experiment(found, outside, **how)

    def experiment(
        self,
        arms: Sequence[str],
        outside: dict[str, str] | None = None,
        *,
        pairs: int | None = None,
        seeds: int = 1,
        split: str = "dev",
        opponent: str | None = None,
        store: Path | None = None,
    ) -> dict[str, Any]:
        """`strop experiment` as a user calls it."""
        command = [sys.executable, "-m", "strop.cli", "experiment", str(self.out / "strop.yaml")]
        command += ["--store", str(store or self.out / "store")]
        command += ["--pairs", str(pairs or self.given.pairs)]
        command += ["--seeds", str(seeds), "--split", split, "--json"]
        for arm in arms:
            command += ["--arm", arm]
        for name, folder in (outside or {}).items():
            command += ["--outside", f"{name}: {folder}"]
        command += ["--opponent", opponent] if opponent else []
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.given.threads)}
        done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False)
        if done.returncode:
            sys.exit(done.returncode)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="a folder in BEIR layout")
    parser.add_argument("--peers", type=Path, required=True, help="python with FlagEmbedding")
    parser.add_argument("--scripts", type=Path, required=True, help="FlagEmbedding's scripts/")
    parser.add_argument("--pairs", type=int, default=6000, help="pairs that each arm trains")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=[2e-5, 5e-5, 1e-4])
    parser.add_argument(
        "--chosen",
        type=chosen_rate,
        nargs="+",
        action=Chosen,
        metavar="ARM=RATE",
        help="learning rates chosen before, and with them strop's presets; all peers must be named",
    )
    parser.add_argument(
        "--set",
        dest="changes",
        type=changed_value,
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="other values for all of strop's arms, chosen on dev before",
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, required=True, help="where all that is made is kept")
    parser.add_argument("--result", type=Path, help="also write the table there")
    parser.add_argument("--quick", action="store_true", help="1,200 pairs, one seed, one rate")
    given = parser.parse_args()
    if given.quick:
        given.pairs, given.seeds, given.rates = 1200, 1, [1e-4]
    return given


def chosen_rate(text: str) -> tuple[str, float]:
    """An arm and its learning rate."""
    name, _, rate = text.partition("=")
    if name not in (*PRESETS, *ARMS):
        known = ", ".join((*PRESETS, *ARMS))
        raise argparse.ArgumentTypeError(f"{name!r}: expected one of {known}")
    return name, float(rate)


def changed_value(text: str) -> tuple[str, Any]:
    """A key of the config and its value."""
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: expected KEY=VALUE")
    return key, yaml.safe_load(value)


class Chosen(argparse.Action):
    """Collects the rates by arm; there must be one of each peer and of a preset."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        """Set the dictionary."""
        rates = dict(values)
        missing = [arm for arm in ARMS if arm not in rates]
        if missing or not set(rates) & set(PRESETS):
            parser.error(f"{option}: lacks {', '.join(missing) or 'a preset'}")
        namespace.chosen = rates


def main() -> None:
    """Run everything and print the tables."""
    given = arguments()
    benchmark = Benchmark(given)
    rates = benchmark.choose_rates()
    (benchmark.out / RATES).write_text(json.dumps(rates))
    results = {arm: benchmark.final(rates, arm) for arm in ARMS}
    told = " ".join(f"{name}={rate:g}" for name, rate in rates.items())
    asked = f"--chosen {told}" if given.chosen else f"--rates {_listed(given.rates)}"
    if given.changes:
        asked += " --set " + " ".join(f"{key}={value}" for key, value in given.changes)
    how = "given" if given.chosen else "chosen on dev at the first seed"
    facts = {
        **machine_facts(
            f"run.py {given.data.name} --pairs {given.pairs} --seeds {given.seeds} {asked} …",
            given,
        ),
        "Learning rates": f"{how}: {told}",
    }
    text = markdown(given.data.name, facts, results)
    print(text)
    if given.result:
        given.result.write_text(text)


def _listed(rates: Sequence[float]) -> str:
    return " ".join(f"{rate:g}" for rate in rates)


def machine_facts(command: str, given: argparse.Namespace) -> dict[str, str]:
    """What was run where, and with which versions."""
    ours = ("torch", "transformers", "sentence-transformers")
    return {
        "Command": f"`python benchmarks/quality/{command}`",
        "Date": datetime.date.today().isoformat(),
        "Versions": f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ours)
        + f", FlagEmbedding {peer_version(given.peers)}",
        "Machine": f"{os.cpu_count()} CPU cores, {given.threads} threads an arm",
    }


def peer_version(python: Path) -> str:
    """The version of FlagEmbedding in its environment."""
    code = "from importlib.metadata import version; print(version('FlagEmbedding'))"
    return subprocess.check_output([python, "-c", code], text=True).strip()


if __name__ == "__main__":
    main()
