"""Two processes of torchrun give the weights of one."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.training import checkpoints
from strop.pipeline.training.ranks import ALONE, shares
from strop.pipeline.training.torchrun import Width, follow
from strop.pipeline.training.train import Trained
from tests.pipeline.training_world import config, fit
from tests.pipeline.two_processes import CASES

TOLERANCE = 1e-5
"""How far a weight may be from that of one process, at a learning rate of 1e-3."""
LEFT_OPEN = ("classifier.bias", "self.key.bias")
"""Weights that softmax cancels: their gradient is rounding alone, whatever its cause, and Adam
makes a step of it."""


class Counted:
    def __init__(self) -> None:
        self.total, self.done = 0, 0

    def start(self, total: int, unit: str) -> None:
        self.total, self.done = total, 0
        assert unit == "pairs"

    def advance(self, count: int) -> None:
        self.done += count


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def two(reranker_folder: Path, folder: Path) -> tuple[dict[str, Any], Counted]:
    """What two processes found in all cases, and the progress that they told."""
    job = folder / "job.json"
    job.write_text(json.dumps({"reranker": str(reranker_folder)}))
    told = Counted()
    follow("tests.pipeline.two_processes", job, Width(2), threads=1, progress=told)
    found = {
        name: torch.load(folder / f"{number}.pt", weights_only=True)
        for number, name in enumerate(CASES)
    }
    return found, told


@cache
def alone(folder: Path, name: str) -> Trained:
    return fit(folder, config(dropout=0.0, **CASES[name]))


@pytest.mark.parametrize("name", CASES)
def test_two_processes_give_the_weights_of_one(
    two: tuple[dict[str, Any], Counted], reranker_folder: Path, name: str
) -> None:
    found, one = two[0][name], alone(reranker_folder, name)
    assert found["same"], "the processes ended with different bits"
    start, moved, apart = load_reranker(reranker_folder).model.state_dict(), 0.0, 0.0
    for key, weight in one.reranker.model.state_dict().items():
        if not key.endswith(LEFT_OPEN):
            apart = max(apart, (found["weights"][key] - weight).abs().max().item())
            moved = max(moved, (start[key] - weight).abs().max().item())
    assert apart < TOLERANCE
    assert moved > 100 * TOLERANCE, "the training must have gone somewhere"


@pytest.mark.parametrize("name", CASES)
def test_the_log_is_that_of_the_whole_step(
    two: tuple[dict[str, Any], Counted], reranker_folder: Path, name: str
) -> None:
    log, expected = two[0][name]["log"], alone(reranker_folder, name).log.to_pydict()
    assert log.keys() == expected.keys()
    for column, values in expected.items():
        assert log[column] == pytest.approx(values, rel=1e-4, abs=1e-6), column


def test_progress_counts_every_pair_once(two: tuple[dict[str, Any], Counted]) -> None:
    found, told = two
    assert told.done == told.total == sum(found["frozen layer"]["log"]["pairs"])


def test_a_killed_process_goes_on_from_the_last_checkpoint(
    two: tuple[dict[str, Any], Counted], folder: Path
) -> None:
    found = torch.load(folder / "killed.pt", weights_only=True)
    assert found["killed"] == found["undisturbed"], "with dropout on, to the bit"
    assert (folder / "killed").exists()
    told = [json.loads(line) for line in (folder / "killed.jsonl").read_text().splitlines()]
    starts = [place for place, values in enumerate(told) if len(values) == 2]
    assert len(starts) == 2, "all processes started again, once"
    resumed = [count for (count,) in told[starts[1] + 1 :]]
    before = [count for (count,) in told[1 : starts[1]]]
    assert resumed[0] == sum(before[:4]), "from step 4, the last checkpoint before step 6"
    assert len(resumed) == 1 + 5
    kept = sorted(path.parent.name for path in (folder / "checkpoints").glob("*/whole.json"))
    assert kept == ["checkpoint-6", "checkpoint-8"]


@given(st.lists(st.integers(1, 4096), max_size=60), st.integers(1, 9))
def test_every_group_is_in_one_share_and_shares_are_balanced(tokens: list[int], size: int) -> None:
    counts = np.asarray(tokens, np.int64)
    found = shares(counts, size)
    assert len(found) == size
    assert sorted(np.concatenate(found).tolist()) == list(range(len(tokens)))
    assert all((np.diff(places) > 0).all() for places in found)
    # No share has more than an even part and one group.
    most = max(int(counts[places].sum()) for places in found)
    assert most <= sum(tokens) / size + max(tokens, default=0)


def test_shares_of_an_example() -> None:
    # 70 | 50, then 40 to the second (90), 30 to the first (100), 20 to the second (110).
    found = shares(np.asarray([20, 70, 40, 50, 30]), 2)
    assert [places.tolist() for places in found] == [[1, 4], [0, 2, 3]]


def test_checkpoints_of_other_processes_do_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-3"
    folder.mkdir()
    (folder / "a").write_text("a")
    checkpoints.finish(folder, processes=2)
    assert checkpoints.last_whole(tmp_path, processes=2) == folder
    with checkpoints.in_every_process(folder, ALONE) as found:
        assert found == folder
    assert checkpoints.last_whole(tmp_path) is None
    assert not folder.exists()
