"""On a GPU a step is recorded when the next one is queued; here a CPU does as if it were one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from strop.pipeline.errors import InputError
from strop.pipeline.scoring.on_device import OnItsWay
from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.training import trainer
from strop.pipeline.training.train import Trained, train
from strop.pipeline.training.trainer import GroupTrainer
from tests.pipeline.training_world import config, fit, negatives, source, weights


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a training did, one after the other, and at which step a tracker was told."""
    found: list[str] = []
    scored, read, log = trainer.logits, OnItsWay.read, GroupTrainer.log

    def told(self: Any, logs: dict[str, float], *rest: Any) -> None:
        if "grad_norm" in logs:
            found.append(f"told {self.state.global_step}")
        log(self, logs, *rest)

    monkeypatch.setattr(trainer, "logits", lambda *given: found.append("scored") or scored(*given))
    monkeypatch.setattr(OnItsWay, "read", lambda self: found.append("read") or read(self))
    monkeypatch.setattr(GroupTrainer, "log", told)
    return found


@pytest.fixture
def _late(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made = GroupTrainer.__init__

    def late(self: Any, **given: Any) -> None:
        made(self, **given)
        self._late = True

    with monkeypatch.context() as patch:
        patch.setattr(GroupTrainer, "__init__", late)
        yield


def fitted(folder: Path) -> Trained:
    # Three steps of four groups.
    return fit(folder, config(epochs=1, groups_per_step=4, micro_batch_tokens=2048))


@pytest.mark.usefixtures("_late")
def test_the_next_step_is_queued_before_one_is_read(
    reranker_folder: Path, events: list[str]
) -> None:
    fitted(reranker_folder)
    assert events == [
        *("scored", "scored", "read", "told 1"),
        *("scored", "read", "told 2"),
        *("read", "told 3"),
    ]


def test_a_cpu_reads_every_step_at_once(reranker_folder: Path, events: list[str]) -> None:
    fitted(reranker_folder)
    assert events == [x for step in "123" for x in ("scored", "read", f"told {step}")]


def test_nothing_else_changes(reranker_folder: Path, request: pytest.FixtureRequest) -> None:
    at_once = fitted(reranker_folder)
    request.getfixturevalue("_late")
    late = fitted(reranker_folder)
    assert late.log.equals(at_once.log)
    assert weights(late) == weights(at_once)


@pytest.mark.usefixtures("_late")
def test_what_diverges_stops_a_step_later_and_is_told_of_its_own(
    reranker_folder: Path, events: list[str]
) -> None:
    loaded = load_reranker(reranker_folder)
    with torch.no_grad():
        loaded.model.classifier.weight[0, 0] = float("nan")
    with pytest.raises(InputError, match="training diverged in step 1: the loss is nan") as raised:
        train(loaded, negatives(), source(), config(groups_per_step=4), round_number=1)
    assert raised.tb is not None, "which keeps the trainer alive"
    assert "forward" not in vars(loaded.model.bert.encoder.layer[-1])
