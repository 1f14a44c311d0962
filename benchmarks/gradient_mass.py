"""Which share of a step's members carries most of the gradient: what selective training could save.

    python -m benchmarks.gradient_mass STORE --round 3
    python -m benchmarks.gradient_mass STORE RERANKER …

Trainings that a store holds are run again from their own inputs; in every step the loss's gradient
with respect to each member's score is taken. A backward pass over the members alone that carry 99 %
of its mass would save what the others cost.
"""

import argparse
import inspect
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.pipeline.config import Config, Training
from strop.pipeline.training.train import train
from strop.pipeline.training.trainer import GroupTrainer
from strop.tasks.training_inputs import (
    TrainingInputs,
    groups_of,
    has_fresh_head,
    starting_weights,
    tokens_of,
)

SHARES = (0.9, 0.95, 0.99)


def trainings(store: Store, number: int, ids: Sequence[str]) -> Iterator[Manifest]:
    """The rerankers that were trained in the store: these, or all of a round."""
    if ids:
        yield from (store.find(item) for item in ids)
        return
    for manifest in store.artifacts("reranker"):
        if manifest.stage == "train" and manifest.parameters["round"] == number:
            yield manifest


def gradients(store: Store, manifest: Manifest) -> list[Any]:
    """By step, the absolute gradient of every member's score."""
    found: list[Any] = []
    accumulate = GroupTrainer._accumulate

    def keep(self: Any, batch: Any, step_groups: int) -> Any:
        total, scores, carried = accumulate(self, batch, step_groups)
        leaf = torch.tensor(scores, requires_grad=True)
        self._loss(batch, (0, len(batch)), step_groups, leaf).backward()
        assert leaf.grad is not None
        found.append(leaf.grad.abs().numpy())
        return total, scores, carried

    GroupTrainer._accumulate = keep  # type: ignore[method-assign]
    try:
        run_again(store, manifest, config_of(manifest))
    finally:
        GroupTrainer._accumulate = accumulate  # type: ignore[method-assign]
    return found


def run_again(store: Store, manifest: Manifest, config: Config) -> float:
    """Run a training from its own inputs, with such a config; returns its CPU seconds."""
    inputs = inputs_of(manifest)
    negatives, earlier = groups_of(store, inputs)
    reranker = starting_weights(store, inputs, config)
    source = tokens_of(store, inputs, [negatives, *earlier], None)
    started = time.process_time()
    train(
        reranker,
        negatives,
        source,
        config,
        round_number=manifest.parameters["round"],
        earlier=earlier,
        fresh_head=has_fresh_head(store, inputs),
    )
    return time.process_time() - started


def inputs_of(manifest: Manifest) -> TrainingInputs:
    """What a training reads."""
    names = inspect.signature(TrainingInputs).parameters
    return TrainingInputs(**{role: ref for role, ref in manifest.inputs.items() if role in names})


def config_of(manifest: Manifest) -> Config:
    """The config of a training, as its manifest tells it."""
    said = manifest.parameters
    names = set(Training.model_fields) - {"evaluate_every"}
    return Config.model_validate(
        {
            "rounds": said["rounds"],
            "seed": said["seed"],
            "training": {name: value for name, value in said.items() if name in names},
            "reranker": {name: said[name] for name in ("max_tokens", "max_query_tokens")},
            "mining": {"curriculum": {"epoch": said["epoch_order"]}},
        }
    )


def share_of_members(steps: list[Any], together: int, mass: float) -> float:
    """The mean share of members that carries so much of the mass, over so many steps together."""
    found = []
    for start in range(0, len(steps) - together + 1, together):
        ordered = np.sort(np.concatenate(steps[start : start + together]))[::-1]
        reached = np.searchsorted(np.cumsum(ordered), mass * ordered.sum())
        found.append((reached + 1) / len(ordered))
    return float(np.mean(found))


def parser_of_trainings(description: str) -> argparse.ArgumentParser:
    """The options that say which trainings of a store are run again."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("store", type=Path)
    parser.add_argument("rerankers", nargs="*", help="their ids; without any, a round's")
    parser.add_argument("--round", type=int, default=3)
    return parser


def main() -> None:
    """Run the trainings again, and print a table."""
    parser = parser_of_trainings("Where the gradient's mass lies.")
    parser.add_argument("--trainings", type=int, default=2, help="how many, the oldest first")
    parser.add_argument("--together", type=int, nargs="+", default=[1, 8], help="steps as one")
    given = parser.parse_args()
    store = Store(given.store)
    print("| reranker | mass | " + " | ".join(f"{n} steps" for n in given.together) + " |")
    print("|---|---:|" + "---:|" * len(given.together))
    for number, manifest in enumerate(trainings(store, given.round, given.rerankers)):
        if number == given.trainings and not given.rerankers:
            break
        steps = gradients(store, manifest)
        for mass in SHARES:
            cells = [f"{share_of_members(steps, n, mass):.2f}" for n in given.together]
            print(f"| {manifest.id} | {mass} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
