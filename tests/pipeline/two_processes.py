"""What each of two processes does in `test_ranks`: train all cases, and keep what the writer has.

`python -m tests.pipeline.two_processes JOB`, started by torchrun; JOB names the reranker's folder.
"""

import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from strop.pipeline.training import ranks as together
from strop.pipeline.training.torchrun import PROGRESS, ToFile, die_with_parent
from strop.pipeline.training.train import Surroundings
from tests.pipeline.training_world import config, fit, weights

CUT_UP = {"micro_batch_tokens": 64, "graph_tokens": 100}
CASES: dict[str, dict[str, Any]] = {
    # 24 groups in steps of 5: the last one has 4.
    "graphs kept": {"groups_per_step": 5, "epochs": 2},
    "cut into micro-batches": {"groups_per_step": 5, "epochs": 2, **CUT_UP},
    # 12 groups in steps of 11: the last one has 1, and one process none.
    "two passes": {"groups_per_step": 11, "gradients": "two_pass", **CUT_UP},
    "residual": {"groups_per_step": 11, "residual_weight": 2.0},
    "frozen layer": {"groups_per_step": 4, "frozen_layers": 1},
}

DROPOUT: dict[str, Any] = {"epochs": 3, "micro_batch_tokens": 64}
"""9 steps of 4 groups, with the model's dropout."""


class Killing:
    """Kills its own process in step 6, the first time that it gets there."""

    def __init__(self, mark: Path) -> None:
        self.mark, self.steps = mark, 0

    def start(self, total: int, unit: str) -> None:
        pass

    def advance(self, count: int) -> None:
        self.steps += 1
        if self.steps == 6 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def killed(job: Path, reranker: Path, ranks: together.Ranks) -> dict[str, Any]:
    """The bits of a training that nobody disturbs, and of one whose second process is killed."""
    settings = config(execution={"checkpoint_steps": 2}, **DROPOUT)
    first = fit(reranker, settings, surroundings=Surroundings(ranks=ranks))
    if ranks.writes:
        (job.parent / "checkpoints").mkdir(exist_ok=True)
        told = ToFile(job.parent / "killed.jsonl")
        around = Surroundings(job.parent / "checkpoints", progress=told, ranks=ranks)
    else:
        around = Surroundings(progress=Killing(job.parent / "killed"), ranks=ranks)
    again = fit(reranker, settings, surroundings=around)
    return {"undisturbed": weights(first), "killed": weights(again)}


def main(job: Path) -> None:
    die_with_parent()
    ranks = together.join(True)
    folder = Path(json.loads(job.read_text())["reranker"])
    bits_of_killed = killed(job, folder, ranks)
    if ranks.writes:
        torch.save(bits_of_killed, job.parent / "killed.pt")
    for number, training in enumerate(CASES.values()):
        told = {"progress": ToFile(job.parent / PROGRESS)} if ranks.writes else {}
        trained = fit(
            folder,
            config(dropout=0.0, **training),
            surroundings=Surroundings(ranks=ranks, **told),
        )
        bits = b"".join(weights(trained).values())
        same = len(set(ranks.all(hashlib.sha256(bits).hexdigest()))) == 1
        if ranks.writes:
            found = trained.reranker.model.state_dict()
            kept = {"weights": found, "log": trained.log.to_pydict(), "same": same}
            torch.save(kept, job.parent / f"{number}.pt")
    together.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
