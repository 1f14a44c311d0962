"""How arms compare when more candidates are reranked: after `run.py`, in the same ``--out``.

    python benchmarks/quality/depths.py --out OUT --arms cross-fit --depths 50 100 --seeds 1

Nothing is trained: the rerankers that `run.py` made reorder more of the first stage's candidates,
with a fusion weight chosen on dev at each depth. The arms named are strop's; peers are all there.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from peers import ARMS
from prefect import flow
from run import RATES, arm_name
from table import markdown

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.flows.outside import find_reranker, measure_reranker, without_code
from strop.pipeline.config import Config
from strop.tasks.compare import ArmRefs, compare_arms
from strop.tasks.decide import verdict
from strop.tasks.stage import Place, call

Rerankers = list[tuple[str, int, str | ArtifactRef]]


@flow(name="depths", validate_parameters=False)
def measure(out: Path, depth: int, arms: Rerankers, opponents: list[str]) -> list[Any]:
    """The differences to each opponent, with so many candidates reranked."""
    values = yaml.safe_load((out / "strop.yaml").read_text())
    config = without_code(Config.model_validate({**values, "evaluation": {"depth": depth}}))
    store = Store(out / "store")
    made = []
    for name, seed, reranker in arms:
        place = Place(store.location, f"depth-{depth}", f"{name}, seed {seed}")
        shared = next(iter(runs(store, seed))).parts()["prepare"]
        if isinstance(reranker, str):
            reranker = find_reranker(place, config, reranker, "a peer's")
        dev, test = (
            measure_reranker(
                place, config, shared, reranker, split=split, tokenizer=shared["reranker"]
            )
            for split in ("dev", "test")
        )
        made.append(ArmRefs(name, seed, 1, test, {1: dev}, {}, {}))
    place = Place(store.location, f"depth-{depth}", "compare")
    compared = [call(compare_arms, place, made, config, opponent) for opponent in opponents]
    return [store.table(ref, "differences").to_pylist() for ref in compared]


def runs(store: Store, seed: int) -> Iterator[Run]:
    """The runs of a seed that have begun."""
    for path in sorted((Path(store.location) / "runs").glob(f"quality.*.seed-{seed}*")):
        run = Run(store, path.stem if path.is_file() else path.name)
        if run.config_or_none():
            yield run


def rerankers(out: Path, presets: list[str], seeds: int) -> Rerankers:
    """The last accepted reranker of every preset, and the peers', by seed."""
    rates, store = json.loads((out / RATES).read_text()), Store(out / "store")
    found: Rerankers = []
    for seed in range(1, seeds + 1):
        for preset in presets:
            name = arm_name(preset, rates[preset])
            parts = Run(store, f"quality.{name}.seed-{seed}").parts()
            accepted = [
                part["reranker"]
                for part in parts.values()
                if "decision" in part and verdict(store, part["decision"])[0] == "accepted"
            ]
            found.append((name, seed, accepted[-1]))
        for arm in ARMS:
            folder = out / "peers" / arm / f"{rates[arm]:g}" / f"seed-{seed}" / "model"
            found.append((arm_name(arm, rates[arm]), seed, str(folder)))
    return found


def main() -> None:
    """Measure every depth, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, help="where `run.py` kept all it made")
    parser.add_argument("--arms", nargs="+", default=["cross-fit"], help="strop's, by preset")
    parser.add_argument("--depths", type=int, nargs="+", default=[50, 100])
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    out = given.out.absolute()
    arms = rerankers(out, given.arms, given.seeds)
    names = list(dict.fromkeys(name for name, _, _ in arms))
    opponents = [name for name in names if name.startswith(tuple(ARMS))]
    for depth in given.depths:
        found = measure(out, depth, arms, opponents)
        results = {n: {"differences": rows} for n, rows in zip(opponents, found, strict=True)}
        print(markdown(f"{out.name}, {depth} candidates reranked,", {}, results), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
