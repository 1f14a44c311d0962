import numpy as np
import pytest

from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.ranking import build_ranking
from strop.pipeline.mining.calibration import fit_calibration
from strop.pipeline.mining.dev_calibration import dev_calibrations


def test_a_curve_that_made_the_labels_is_found_again() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(3.0, 2.0, 20_000)
    relevant = random.random(20_000) < 1 / (1 + np.exp(-(1.5 * scores - 6.0)))
    found = fit_calibration(scores, relevant)
    assert found.slope == pytest.approx(1.5, abs=0.08)
    assert found.intercept == pytest.approx(-6.0, abs=0.3)
    assert found.probability(np.array([4.0]))[0] == pytest.approx(0.5, abs=0.03)


def test_the_mean_probability_is_the_share_of_relevant_ones() -> None:
    scores, relevant = np.arange(200.0), np.arange(200) % 7 > 4
    assert fit_calibration(scores, relevant).probability(scores).mean() == pytest.approx(
        relevant.mean(), abs=0.01
    )


def test_scores_that_separate_the_classes_stay_finite() -> None:
    scores = np.array([-1000.0, -999.0, -998.0, 998.0, 999.0, 1000.0])
    found = fit_calibration(scores, scores > 0)
    probabilities = found.probability(scores)
    # Platt's targets for three of each: (3 + 1) / (3 + 2) and 1 / (3 + 2).
    assert probabilities == pytest.approx([0.2] * 3 + [0.8] * 3, abs=0.001)


def test_a_constant_score_has_the_shares_of_the_targets() -> None:
    found = fit_calibration(np.full(4, 7.0), np.array([True, False, False, False]))
    # The targets are 2/3 for the one and 1/5 for the three others.
    assert found.probability(np.array([7.0]))[0] == pytest.approx((2 / 3 + 3 / 5) / 4)


def test_moving_and_stretching_the_scores_changes_no_probability() -> None:
    random = np.random.default_rng(1)
    scores = random.normal(size=300)
    relevant = random.random(300) < 1 / (1 + np.exp(-scores))
    plain = fit_calibration(scores, relevant).probability(scores)
    moved = 1000 * scores + 50_000
    assert fit_calibration(moved, relevant).probability(moved) == pytest.approx(plain, abs=1e-7)


def test_a_missing_score_has_no_probability() -> None:
    found = fit_calibration(np.array([0.0, 1.0]), np.array([False, True]))
    assert np.isnan(found.probability(np.array([np.nan]))[0])


@pytest.mark.parametrize("relevant", [True, False])
def test_a_single_class_is_refused(relevant: bool) -> None:
    with pytest.raises(InputError, match=r"3 relevant and 0|0 relevant and 3"):
        fit_calibration(np.arange(3.0), np.full(3, relevant))


def test_before_anything_is_scored_the_first_stage_is_calibrated(tables) -> None:
    found = tables.candidates({f"q{number}": list("abcd") for number in range(8)})
    qrels = tables.qrels({f"q{number}": {"ab"[number % 2]: 1} for number in range(8)})
    unscored = dev_calibrations(build_ranking(found, None, 2), qrels, weight=0.0, scale=None)
    # All candidates count, the ones below the depth too.
    whole = build_ranking(found, np.zeros(32), 4)
    every = dev_calibrations(whole, qrels, weight=0.0, scale=None)
    assert unscored["mining"] == unscored["first_stage"] == every["first_stage"]


def test_probabilities_are_those_of_the_scores_that_mine_whatever_the_spread_of_devs(
    tables,
) -> None:
    queries = [f"q{number}" for number in range(8)]
    found = tables.candidates({query: list("abcd") for query in queries})
    qrels = tables.qrels({query: {"ab"[place % 2]: 1} for place, query in enumerate(queries)})
    scores = np.random.default_rng(0).normal(size=32)
    ranking = build_ranking(found, scores, 4)
    first_stage = ranking["first_stage_score"].to_numpy().astype(np.float64)
    relevant = np.tile([[True, False, False, False], [False, True, False, False]], (4, 1)).ravel()
    for scale in (5.0, 20.0):  # at weight 0.5 a unit of the first stage counts that many logits
        made = dev_calibrations(ranking, qrels, weight=0.5, scale=scale)["mining"]
        expected = fit_calibration(np.float32(scores) + scale * first_stage, relevant)
        assert (made.slope, made.intercept) == pytest.approx((expected.slope, expected.intercept))
