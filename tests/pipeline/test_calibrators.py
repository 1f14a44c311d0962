import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from strop.pipeline.evaluation.calibration_card import calibration_card
from strop.pipeline.evaluation.calibrators import (
    FITS,
    FORMULAS,
    KINDS,
    Isotonic,
    Platt,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    from_values,
    to_values,
)
from strop.pipeline.evaluation.reliability import TITLES

METHODS = sorted(FITS)


def drawn(curve, count=20_000, seed=0):
    random = np.random.default_rng(seed)
    logits = random.normal(1.0, 3.0, count)
    return logits, random.random(count) < curve(logits)


def test_a_logistic_curve_is_found_again():
    found = fit_platt(*drawn(lambda x: expit(0.7 * x - 4)))
    assert (found.slope, found.intercept) == pytest.approx((0.7, -4), abs=0.15)


@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_a_temperature_is_found_again(temperature):
    found = fit_temperature(*drawn(lambda x: expit(x / temperature)))
    assert found.temperature == pytest.approx(temperature, rel=0.05)


def test_isotonic_shares_by_hand():
    # The labels 0 1 0 1 pool the two in the middle.
    found = fit_isotonic(np.arange(4.0), np.array([False, True, False, True]))
    logits = np.array([-9, 0, 1, 1.5, 2, 2.5, 3, 9])
    assert found.probabilities(logits) == pytest.approx([0, 0, 0.5, 0.5, 0.5, 0.75, 1, 1])


rows = st.lists(st.tuples(st.integers(-40, 40), st.booleans()), min_size=4, max_size=40).filter(
    lambda found: len({label for _, label in found}) == 2
)


@settings(max_examples=60, deadline=None)
@given(rows, st.sampled_from(METHODS))
def test_no_method_ever_turns_two_candidates_round(found, method):
    logits, positive = (np.array(side) for side in zip(*found, strict=True))
    grid = np.linspace(-60, 60, 400)
    probabilities = FITS[method](logits / 4, positive).probabilities(grid)
    assert np.all(np.diff(probabilities) >= 0)
    assert np.all((probabilities >= 0) & (probabilities <= 1))


def test_scores_that_rank_the_wrong_way_tell_nothing_but_the_share():
    logits = np.arange(100.0)
    found = fit_platt(logits, logits < 20)
    assert found.slope == 0
    assert found.probabilities(logits) == pytest.approx(np.full(100, 0.2), abs=0.02)


def test_a_temperature_cannot_move_the_level_and_stays_finite():
    found = fit_temperature(np.full(50, 3.0), np.arange(50) < 5)
    assert found.temperature == pytest.approx(100, rel=0.01)
    assert fit_temperature(np.array([-1.0, 1.0]), np.array([False, True])).temperature > 0.009


@pytest.mark.parametrize("method", METHODS)
def test_plain_numbers_give_the_same_calibrator_again(method):
    found = FITS[method](*drawn(expit, 200))
    values = json.loads(json.dumps({**to_values(method, found), "dev": []}))
    assert values["method"] == method
    assert from_values(values) == found


@pytest.mark.parametrize("method", METHODS)
def test_the_usage_on_the_card_computes_the_formula(method, tmp_path):
    found = FITS[method](*drawn(expit, 200))
    values = to_values(method, found)
    row = {"ece": 0.1, "brier": 0.2, "num_candidates": 1500, "num_positives": 123}
    measures = [{"calibration": name, "num_queries": 150, **row} for name in ("none", method)]
    card = calibration_card(values, measures, depth=10)
    for expected in (FORMULAS[method], TITLES[method], "1,500 candidates of 150", "first 10 of"):
        assert expected in card
    code = card.split("```python\n")[1].split("```")[0].splitlines()[-1]
    known = {"np": np, "known": values, "logits": np.array([-2.0, 0.3, 4.0])}
    exec(code, known)
    assert known["probabilities"] == pytest.approx(found.probabilities(known["logits"]))


def test_every_method_has_its_parts():
    assert set(FITS) == set(KINDS) == set(FORMULAS) == set(TITLES) - {"none"}
    assert (KINDS["platt"], KINDS["isotonic"]) == (Platt, Isotonic)
