import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from strop.artifacts.schemas import RELIABILITY
from strop.pipeline.evaluation.reliability import (
    brier_score,
    calibration_errors,
    expected_calibration_error,
    reliability_table,
)

PREDICTED = np.array([0.1, 0.8, 0.2, 0.9])
POSITIVE = np.array([False, True, True, True])


def table(predicted, positive, **options):
    return reliability_table(predicted, positive, split="dev", calibration="none", **options)


def test_the_errors_by_hand():
    # Two bins: 0.15 against one of two, and 0.85 against two of two.
    ece = expected_calibration_error(PREDICTED, POSITIVE, num_bins=2)
    assert ece == pytest.approx((0.35 + 0.15) / 2)
    assert brier_score(PREDICTED, POSITIVE) == pytest.approx((0.01 + 0.04 + 0.64 + 0.01) / 4)
    assert calibration_errors(PREDICTED, POSITIVE)["brier_of_base_rate"] == 3 / 16


def test_the_table_has_a_row_a_bin_in_the_order_of_probabilities():
    found = table(PREDICTED, POSITIVE, num_bins=2)
    assert found.schema == RELIABILITY
    first, second = found.to_pylist()
    assert (first["low"], first["high"], first["count"]) == (0.1, 0.2, 2)
    assert (first["mean_predicted"], first["share_positive"]) == pytest.approx((0.15, 0.5))
    assert (second["low"], second["high"], second["share_positive"]) == (0.8, 0.9, 1.0)


pairs = st.lists(st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=3)


@settings(max_examples=50, deadline=None)
@given(pairs, st.integers(1, 15))
def test_bins_and_errors_agree_with_scikit_learn(rows, num_bins):
    predicted, positive = (np.array(side) for side in zip(*rows, strict=True))
    found = table(predicted, positive, num_bins=num_bins)
    shares, means = calibration_curve(positive, predicted, n_bins=num_bins, strategy="quantile")
    assert found["share_positive"].to_numpy() == pytest.approx(shares)
    assert found["mean_predicted"].to_numpy() == pytest.approx(means)
    assert found["count"].to_numpy().sum() == len(rows)
    if 0 < positive.sum() < len(positive):
        assert brier_score(predicted, positive) == pytest.approx(
            brier_score_loss(positive, predicted)
        )


def test_equal_probabilities_are_never_parted():
    found = table(np.array([0.5] * 40 + [0.9]), np.arange(41) % 2 == 0)
    assert found["count"].to_pylist() in ([40, 1], [41])


def test_bins_weigh_by_their_counts_where_equal_probabilities_make_them_uneven():
    # Off by 0.15 on eight candidates and by 0.4 on two.
    probabilities = np.array([0.1] * 8 + [0.9] * 2)
    positive = np.array([True] * 2 + [False] * 6 + [True, False])
    assert expected_calibration_error(probabilities, positive) == pytest.approx(0.2)


def test_the_order_of_rows_changes_nothing():
    random = np.random.default_rng(0)
    predicted = random.integers(0, 9, 200) / 9
    positive = random.random(200) < predicted
    order = random.permutation(200)
    plain, moved = (
        table(predicted, positive).to_pylist(),
        table(predicted[order], positive[order]).to_pylist(),
    )
    assert [row["count"] for row in plain] == [row["count"] for row in moved]
    for one, other in zip(plain, moved, strict=True):
        assert one["mean_predicted"] == pytest.approx(other["mean_predicted"])


def test_probabilities_that_made_the_labels_are_calibrated_and_moved_ones_are_not():
    random = np.random.default_rng(1)
    predicted = random.random(20_000)
    positive = random.random(20_000) < predicted
    assert expected_calibration_error(predicted, positive) < 0.015
    assert expected_calibration_error(predicted**4, positive) > 0.25
