"""What a training says of itself: real trainings, and a log worked by hand."""

from typing import Any

import pyarrow as pa
import pytest

from strop.pipeline.config import Training
from strop.pipeline.training.lesson import loss_share, stayed_flat
from tests.pipeline.training_world import config, fit
from tests.world import tiny_model

LN2, LN4 = 0.693147, 1.386294


def log(losses: list[float], *, pairs: int = 8) -> pa.Table:
    steps = len(losses)
    return pa.table({"loss": losses, "pairs": [pairs] * steps, "groups": [2] * steps})


def test_the_last_quarter_counts() -> None:
    losses = [LN4] * 30 + [LN2] * 10
    assert loss_share(log(losses), Training()) == pytest.approx(0.5, abs=1e-4)
    assert loss_share(log(losses[::-1]), Training()) == pytest.approx(1.0, abs=1e-4)
    assert loss_share(log([LN4] * 39), Training()) is None


@pytest.mark.parametrize(
    "change", [{"losses": [{"name": "binary_cross_entropy"}]}, {"residual_weight": 1.0}]
)
def test_other_losses_tell_nothing(change: dict[str, Any]) -> None:
    assert loss_share(log([LN4] * 40), Training.model_validate(change)) is None


@pytest.mark.parametrize(
    ("spreads", "flat"),
    [
        ([0.066, 0.11, 0.09, 0.1, 0.08], True),
        ([0.07, 2.0, 3.0, 0.5, 0.07], False),  # spread by training, then collapsed
        ([2.0, 1.0, 0.2, 0.01, 0.001], False),  # trained before
        ([0.07, 0.05, 0.001, 0.0, 0.0], False),  # collapsed at once
        ([], False),
    ],
)
def test_scores_stay_flat_where_training_neither_spreads_nor_collapses_them(
    spreads: list[float], flat: bool
) -> None:
    spread_log = pa.table({"score_spread": pa.array(spreads, pa.float32())})
    assert stayed_flat(spread_log, Training()) is flat


@pytest.mark.parametrize(("epochs", "rate", "flat"), [(2, 2e-5, True), (2, 1.0, False)])
def test_few_small_steps_leave_scores_flat_and_large_ones_do_not(
    tmp_path: Any, epochs: int, rate: float, flat: bool
) -> None:
    folder = tiny_model(tmp_path / "model", seed=1, one_logit=True)
    asked = config(epochs=epochs, learning_rate=rate)
    assert stayed_flat(fit(folder, asked).log, asked.training) is flat


def test_who_learns_and_who_does_not(tmp_path: Any) -> None:
    folder = tiny_model(tmp_path / "model", seed=1, one_logit=True)
    shares = {}
    for rate in (3e-3, 1e-7):
        asked = config(epochs=60, learning_rate=rate)
        shares[rate] = loss_share(fit(folder, asked).log, asked.training)
    assert shares[3e-3] is not None
    assert shares[1e-7] is not None
    assert shares[3e-3] < 0.5
    assert shares[1e-7] > 0.9
