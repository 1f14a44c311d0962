"""Selective training beside exact gradients: pairs a CPU second, and how close the gradient is.

    python -m benchmarks.selective STORE --round 3

Trainings that a store holds (as `strop experiment` leaves them) are run again from their own
inputs, with exact and with selective gradients by turns. Columns are pairs a CPU second, and their
ratio, of whole trainings. In a further run the exact gradient of every second step is taken beside
the selective one.
"""

from typing import Any

import torch

from benchmarks.gradient_mass import config_of, parser_of_trainings, run_again, trainings
from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.pipeline.training import gradients
from strop.pipeline.training.trainer import GroupTrainer

EVERY = 2
"""Steps from one that is compared to the next."""
CLOSE = 0.99


def trained(store: Store, manifest: Manifest, way: str) -> float:
    """CPU seconds of a training with such gradients."""
    config = config_of(manifest)
    changed = config.training.model_copy(update={"gradients": way, "dropout": 0.0})
    return run_again(store, manifest, config.model_copy(update={"training": changed}))


def compared(store: Store, manifest: Manifest) -> tuple[list[float], list[float]]:
    """By step, the share of members that carried the mass; by some, the gradients' cosine."""
    shares: list[float] = []
    cosines: list[float] = []
    accumulate, carried = GroupTrainer._accumulate, gradients.CARRIED

    def both(self: Any, batch: Any, step_groups: int) -> Any:
        if len(shares) % EVERY == EVERY - 1:
            found = []
            for gradients.CARRIED in (1.0, carried):
                self.model.zero_grad()
                accumulate(self, batch, step_groups)
                found.append(_flat(self.model))
            exact, chosen = found
            cosines.append(float(exact @ chosen / exact.norm() / chosen.norm()))
            self.model.zero_grad()
        result = accumulate(self, batch, step_groups)
        shares.append(result[2])
        return result

    GroupTrainer._accumulate = both  # type: ignore[method-assign]
    try:
        trained(store, manifest, "selective")
    finally:
        GroupTrainer._accumulate, gradients.CARRIED = accumulate, carried  # type: ignore[method-assign]
    return shares, cosines


def _flat(model: Any) -> torch.Tensor:
    """All gradients in one, in float64: 20 million products are summed."""
    weights = [weight.grad for weight in model.parameters() if weight.grad is not None]
    return torch.cat([weight.flatten().double() for weight in weights])


def main() -> None:
    """Run the trainings again, and print a table."""
    parser = parser_of_trainings("Selective beside exact gradients.")
    parser.add_argument("--turns", type=int, default=2, help="alternations")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    store = Store(given.store)
    print("| reranker | pairs | exact | selective | ratio | members | cosine of 0.99 | lowest |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for manifest in trainings(store, given.round, given.rerankers):
        seconds: dict[str, list[float]] = {"kept": [], "selective": []}
        for turn in range(given.turns):
            for way in sorted(seconds, reverse=turn % 2 == 1):
                seconds[way].append(trained(store, manifest, way))
        ratios = sorted(a / b for a, b in zip(*seconds.values(), strict=True))
        pairs = manifest.summary["pairs"]
        rates = [pairs * given.turns / sum(spent) for spent in seconds.values()]
        shares, cosines = compared(store, manifest)
        print(
            f"| {manifest.id} | {pairs:,} | {rates[0]:.1f} | {rates[1]:.1f} | "
            f"{sum(ratios) / len(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}) | "
            f"{sum(shares) / len(shares):.2f} | {sum(c >= CLOSE for c in cosines)} of "
            f"{len(cosines)} steps | {min(cosines):.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
