"""Health: what a record says of the scores, and when a training must stop."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from strop.pipeline.config import Training
from strop.pipeline.errors import InputError
from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.training.health import (
    Limits,
    check_collapse,
    check_gradient,
    check_loss,
    equal_scores_loss,
    health_summary,
    is_collapsed,
    limits,
    score_health,
)
from strop.pipeline.training.train import train, training_summary
from tests.pipeline.training_world import config, fit, negatives, source

OFFSETS = np.asarray([0, 2, 5])


def test_spread_and_violations_by_hand() -> None:
    scores = np.asarray([1, 3, 5, 5, 2], np.float32)
    # Spreads: 1 of (1, 3), and sqrt(2) of (5, 5, 2); an equal negative outscores nobody.
    found = score_health(scores, OFFSETS)
    assert found == {
        "score_spread": pytest.approx((1 + 2**0.5) / 2),
        "violation_share": 0.5,
    }


def test_the_loss_of_equal_scores_by_hand() -> None:
    member_weights = np.asarray([1, 1, 1, 1, 0.5], np.float32)
    weights = np.asarray([1, 3], np.float32)
    expected = (np.log(2) + 3 * np.log(2.5)) / 2
    assert equal_scores_loss(member_weights, OFFSETS, weights) == pytest.approx(expected)


def record(**values: Any) -> dict[str, float]:
    healthy = {"loss": 2.0, "equal_scores_loss": 2.0, "score_spread": 0.001, "collapsed": True}
    return healthy | values


@pytest.mark.parametrize(
    ("values", "collapsed"),
    [
        ({}, True),
        ({"loss": 1.97}, True),
        ({"loss": 1.9}, False),
        ({"loss": 2.1}, False),
        ({"score_spread": 0.5}, False),
    ],
)
def test_collapse_is_no_spread_and_the_loss_of_equal_scores(
    values: dict[str, float], collapsed: bool
) -> None:
    assert is_collapsed(record(**values), Training()) == collapsed


def test_only_a_long_run_of_collapsed_steps_after_the_warm_up_counts() -> None:
    settings, allowed = Training(), Limits(warmup=10, steps=50)
    collapsed, well = record(gradient_norm=0.0), record(collapsed=False, score_spread=1.0)
    check_collapse([collapsed] * 59, allowed, settings)
    check_collapse([collapsed] * 20 + [well] + [collapsed] * 49, allowed, settings)
    with pytest.raises(InputError, match=r"scores collapsed: in the 50 steps up to step 60 .*2\.0"):
        check_collapse([well] + [collapsed] * 59, allowed, settings)
    with pytest.raises(InputError, match=r"scores never differed: .*; raise training\.learning_r"):
        check_collapse([collapsed] * 60, allowed, settings)
    check_collapse([collapsed] * 500, Limits(10, None), settings)


def test_a_slow_start_has_nearly_a_third_of_the_run() -> None:
    def steps(run: int, **training: Any) -> int | None:
        settings = config(**training).training
        return limits(settings, warmup=5, steps=run, rounds=3).steps

    assert steps(10) == 50
    assert steps(130) == 117
    assert steps(130, residual_weight=1.0) is None
    assert steps(130, losses=[{"name": "circle"}]) is None


def test_what_diverges_is_told_with_the_way_out() -> None:
    check_loss(3, 1.0, "fp32")
    with pytest.raises(InputError, match=r"in step 3: the loss is nan; lower training\.learning_"):
        check_loss(3, float("nan"), "fp32")
    with pytest.raises(InputError, match=r"norm is inf; .* or set training\.precision to bf16"):
        check_gradient(3, float("inf"), "fp16", [{"gradient_norm": float("inf")}] * 32)


def test_fp16_may_skip_steps_while_it_looks_for_its_scale() -> None:
    infinite = {"gradient_norm": float("inf")}
    check_gradient(3, float("inf"), "fp16", [infinite] * 3)
    check_gradient(40, float("inf"), "fp16", [infinite, {"gradient_norm": 1.0}] * 20)
    with pytest.raises(InputError, match="diverged in step 3"):
        check_gradient(3, float("inf"), "bf16", [infinite] * 3)


def test_a_training_with_a_broken_weight_stops_at_once(reranker_folder: Path) -> None:
    loaded = load_reranker(reranker_folder)
    with torch.no_grad():
        loaded.model.classifier.weight[0, 0] = float("nan")
    with pytest.raises(InputError, match="training diverged in step 1: the loss is nan"):
        train(loaded, negatives(), source(), config(), round_number=1)


def test_a_model_that_scores_all_alike_is_not_saved_as_a_good_one(reranker_folder: Path) -> None:
    loaded = load_reranker(reranker_folder)
    with torch.no_grad():
        loaded.model.bert.pooler.dense.weight.zero_()
    settings = config(rounds=1, epochs=60, learning_rate=1e-12)
    with pytest.raises(InputError, match=r"scores never differed: in the 54 steps up to step \d+ "):
        train(loaded, negatives(), source(), settings, round_number=1)


def test_the_log_and_the_summary_tell_of_health(reranker_folder: Path) -> None:
    trained = fit(reranker_folder, config(epochs=30, learning_rate=5e-3, dropout=0.0))
    log, summary = trained.log, training_summary(trained)
    assert summary["score_spread"] > log["score_spread"][0].as_py()
    assert summary["violation_share"] < log["violation_share"][0].as_py()
    assert summary["gradient_norm"] > 0


def test_steps_that_fp16_skipped_are_not_among_the_last_tenth() -> None:
    norms = np.where(np.arange(22) % 11 == 10, np.inf, np.arange(22.0))
    rows = {"loss": norms, "gradient_norm": norms}
    spread = {"score_spread": np.arange(22.0), "violation_share": np.zeros(22)}
    assert health_summary(rows | spread) == {
        "score_spread": 19.5,
        "violation_share": 0.0,
        "gradient_norm": 19.5,
    }
    assert health_summary({**rows, **spread, "gradient_norm": np.full(22, np.inf)}) == {}
