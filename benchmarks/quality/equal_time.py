"""Rerankers that took no more CPU time than a peer's: after `run.py`, in the same ``--out``.

    python benchmarks/quality/equal_time.py DATA --peers PYTHON --scripts FOLDER --out OUT \\
        --pairs 3600 --rates 1e-4 2e-4 2e-4 --arm 'NAME: KEY=VALUE …' --arm-pairs N

The peers trained ``--pairs`` pairs each, at the rates that dev chose (``--rates``, in the order of
their arms); strop's arm trains ``--arm-pairs``. Every recipe's commands are run once more from
nothing, in turn, and their CPU seconds counted: loading, mining with all its forward passes,
training, and for strop whatever it does besides (dev in every round, tables, reports; not its
Prefect server, a process that stays). Test is read once an arm.
"""

import argparse
import os
import resource
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from peers import ARMS, Task, train
from run import Benchmark, machine_facts
from table import markdown


def main() -> None:
    """Count everyone's seconds, compare on test, and print the table."""
    given = arguments()
    benchmark = Benchmark(given)
    rates = dict(zip(ARMS, given.rates, strict=True))
    seconds = {arm: cpu_seconds(lambda a=arm: again(benchmark, a, rates[a])) for arm in ARMS}
    name = given.arm.partition(":")[0]
    seconds[name] = cpu_seconds(lambda: ours_again(benchmark, given))
    for arm, value in seconds.items():
        print(f"{arm}: {value:.0f} CPU seconds", file=sys.stderr, flush=True)
    outside = {
        f"{arm}-{rates[arm]:.0e}": str(given.out / "peers" / arm / f"{rates[arm]:g}")
        for arm in ARMS
    }
    results = {
        arm: benchmark.experiment(
            [given.arm],
            {key: f"{folder}/seed-{{seed}}/model" for key, folder in outside.items()},
            pairs=given.arm_pairs,
            seeds=given.seeds,
            split="test",
            opponent=f"{arm}-{rates[arm]:.0e}",
        )
        for arm in ARMS
    }
    text = markdown(f"{given.data.name} at equal time", facts(given, seconds), results)
    print(text)
    if given.result:
        given.result.write_text(text)


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of the processes that some work starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def again(benchmark: Benchmark, arm: str, rate: float) -> None:
    """One peer's mining and training from nothing, at the first seed."""
    given = benchmark.given
    out = given.out / "equal-time" / arm
    shutil.rmtree(out, ignore_errors=True)
    store, made = benchmark.prepared(seed=1)
    base = store.folder(made["reranker"])
    train(
        benchmark.peers,
        Task(arm, base, given.out / "texts", out / "seed-1", given.pairs, rate, 1),
    )


def ours_again(benchmark: Benchmark, given: argparse.Namespace) -> None:
    """The arm from nothing, in a store of its own."""
    store = given.out / "equal-time" / "store"
    shutil.rmtree(store, ignore_errors=True)
    benchmark.experiment([given.arm], pairs=given.arm_pairs, store=store)


def facts(given: argparse.Namespace, seconds: Mapping[str, float]) -> dict[str, str]:
    """What was run, and what it took."""
    rates = " ".join(f"{rate:g}" for rate in given.rates)
    return {
        **machine_facts(
            f"equal_time.py {given.data.name} --pairs {given.pairs} --rates {rates} "
            f"--arm '{given.arm}' --arm-pairs {given.arm_pairs} --seeds {given.seeds} …",
            given,
        ),
        "CPU seconds from nothing, at the first seed": ", ".join(
            f"{arm} {value:.0f}" for arm, value in seconds.items()
        ),
        "Pairs trained": f"{given.arm_pairs:,} by strop, {given.pairs:,} by each peer",
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="a folder in BEIR layout")
    parser.add_argument("--peers", type=Path, required=True, help="python with FlagEmbedding")
    parser.add_argument("--scripts", type=Path, required=True, help="FlagEmbedding's scripts/")
    parser.add_argument("--out", type=Path, required=True, help="where `run.py` kept all it made")
    parser.add_argument("--pairs", type=int, default=6000, help="pairs that each peer trained")
    parser.add_argument("--rates", type=float, nargs=len(ARMS), required=True)
    parser.add_argument("--arm", required=True, help="as `strop experiment` reads it")
    parser.add_argument("--arm-pairs", type=int, required=True, help="pairs that strop trains")
    parser.add_argument("--seeds", type=int, default=3)
    parser.set_defaults(chosen=None, changes=[])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--result", type=Path, help="also write the table there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
