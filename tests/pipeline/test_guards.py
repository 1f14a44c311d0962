import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.pipeline.mining.guards import (
    Reference,
    above_margin,
    above_percentage,
    above_probability,
    above_relative,
    positive_reference,
)

REFERENCES: list[Reference] = ["weakest", "mean", "strongest"]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("weakest", [-4, 3]), ("mean", [-1, 3]), ("strongest", [2, 3])],
)
def test_the_reference_of_several_positives(reference: Reference, expected: list[float]) -> None:
    codes = np.array([0, 0, 0, 1, 1, 2])
    scores = np.array([2.0, -4.0, 99.0, 3.0, 99.0, 7.0])
    positive = np.array([True, True, False, True, False, False])
    found = positive_reference(codes, scores, positive, 3, reference)
    assert found[:2].tolist() == expected
    assert np.isnan(found[2])


def test_margins_by_hand_for_negative_logits() -> None:
    # The positive scores -6. A share of it, -6 * (1 - 0.1) = -5.4, would lie above the positive.
    scores, reference = np.array([-5.7, -6.0, -6.5, -7.5]), np.full(4, -6.0)
    assert above_margin(scores, reference, 0.0).tolist() == [True, False, False, False]
    assert above_margin(scores, reference, 1.0).tolist() == [True, True, True, False]
    assert above_margin(scores, reference, -0.5).tolist() == [False] * 4


def test_shares_of_the_positive_by_hand() -> None:
    scores, reference = np.array([0.81, 0.79, 0.5]), np.full(3, 0.8)
    assert above_relative(scores, reference, 0.0).tolist() == [True, False, False]
    assert above_relative(scores, reference, 0.05).tolist() == [True, True, False]
    assert above_percentage(scores, reference, 0.95).tolist() == [True, True, False]
    assert above_percentage(scores, reference, 1.0).tolist() == [True, False, False]


def test_a_relative_margin_takes_the_size_of_a_negative_positive() -> None:
    # 0.1 of |-6| below the positive is -6.6; a percentage of -6 would lie above it, at -5.4.
    scores, reference = np.array([-6.5, -6.7]), np.full(2, -6.0)
    assert above_relative(scores, reference, 0.1).tolist() == [True, False]
    assert above_percentage(scores, reference, 0.9).tolist() == [False, False]


def test_without_a_score_or_reference_nothing_is_a_suspect() -> None:
    scores, reference = np.array([np.nan, 9.0]), np.array([1.0, np.nan])
    for rule in (above_margin, above_relative, above_percentage):
        assert not rule(scores, reference, 0.5).any()
    assert above_probability(np.array([np.nan, 0.5, 0.6]), 0.5).tolist() == [False, False, True]


@pytest.mark.parametrize("reference", REFERENCES)
@settings(max_examples=40, deadline=None)
@given(
    scores=st.lists(st.integers(-40, 40), min_size=3, max_size=20),
    positives=st.integers(1, 3),
    margin=st.integers(-8, 8),
    shift=st.integers(-1000, 1000),
)
def test_guards_do_not_change_when_all_scores_move_together(
    reference: Reference, scores: list[int], positives: int, margin: int, shift: int
) -> None:
    codes = np.zeros(len(scores), np.int64)
    positive = np.arange(len(scores)) < positives

    def suspects(values: np.ndarray) -> list[bool]:
        found = positive_reference(codes, values, positive, 1, reference)
        # Means of up to three whole numbers: a margin between them has no rounding to fear.
        return above_margin(values, found[codes], margin + 0.01).tolist()

    assert suspects(np.asarray(scores, float)) == suspects(np.asarray(scores, float) + shift)
