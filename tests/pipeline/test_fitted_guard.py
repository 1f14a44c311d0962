import numpy as np
import pytest

from strop.pipeline.errors import InputError
from strop.pipeline.mining.fitted_guard import fit_margin, fit_probability
from strop.pipeline.mining.guards import Reference, above_margin, positive_reference


def world(queries: int = 40, positives: int = 3, others: int = 20, seed: int = 0) -> tuple:
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(queries), positives + others)
    positive = np.tile(np.arange(positives + others) < positives, queries)
    scores = random.normal(size=len(codes)) + 2.0 * positive + random.normal(size=queries)[codes]
    return codes, scores, positive


def caught_by_hiding_one_by_one(
    codes: np.ndarray, scores: np.ndarray, positive: np.ndarray, reference: Reference, margin: float
) -> float:
    caught = []
    for row in np.flatnonzero(positive):
        others = positive & (np.arange(len(codes)) != row)
        if not (others & (codes == codes[row])).any():
            continue
        found = positive_reference(codes, scores, others, codes.max() + 1, reference)
        caught.append(above_margin(scores[row : row + 1], found[codes[row : row + 1]], margin)[0])
    return float(np.mean(caught))


@pytest.mark.parametrize("reference", ["weakest", "mean", "strongest"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_margin_is_the_least_that_catches_the_share(reference: Reference, share: float) -> None:
    codes, scores, positive = world()
    found = fit_margin(codes, scores, positive, reference=reference, caught_share=share)
    assert found.hidden == 120
    at = caught_by_hiding_one_by_one(codes, scores, positive, reference, found.threshold)
    below = caught_by_hiding_one_by_one(codes, scores, positive, reference, found.threshold - 1e-6)
    assert at == pytest.approx(share)
    assert below == pytest.approx(share - 1 / 120)


def test_the_refused_share_is_what_the_rule_does_to_other_candidates() -> None:
    codes, scores, positive = world()
    found = fit_margin(codes, scores, positive, reference="mean", caught_share=0.8)
    reference = positive_reference(codes, scores, positive, 40, "mean")[codes]
    marked = above_margin(scores, reference, found.threshold)
    assert found.refused_share == pytest.approx(marked[~positive].mean())
    assert found.caught_share == pytest.approx(0.8, abs=0.1)


def test_the_caught_share_is_measured_on_queries_that_the_margin_has_not_seen() -> None:
    # Even queries have gaps of 1, odd ones of 3: a half that saw 1 catches none of the other.
    codes, positive = np.repeat(np.arange(20), 2), np.ones(40, bool)
    scores = np.tile([0.0, 1.0, 0.0, 3.0], 10)
    found = fit_margin(codes, scores, positive, reference="mean", caught_share=0.9)
    assert found.caught_share == pytest.approx(0.75)


def test_positives_that_retrieval_missed_are_not_hidden_but_still_referred_to() -> None:
    # Each query has positives at 2 and 1 that retrieval found, and one at -9 that it missed.
    codes = np.repeat(np.arange(20), 3)
    scores, found = np.tile([2.0, 1.0, -9.0], 20), np.tile([True, True, False], 20)
    positive = np.ones(60, bool)
    near = fit_margin(
        codes, scores, positive, reference="strongest", caught_share=0.9, in_window=found
    )
    far = fit_margin(codes, scores, positive, reference="strongest", caught_share=0.9)
    assert (near.hidden, far.hidden) == (40, 60)
    assert near.threshold == pytest.approx(1.0)
    assert far.threshold == pytest.approx(11.0)
    weakest = fit_margin(
        codes, scores, positive, reference="weakest", caught_share=0.9, in_window=found
    )
    assert weakest.threshold == pytest.approx(-10.0)
    probable = fit_probability(scores / 10, positive, caught_share=0.9, in_window=found)
    assert (probable.hidden, probable.threshold) == (40, pytest.approx(0.1))


def test_queries_with_a_single_positive_hide_nothing() -> None:
    codes, scores, positive = world(queries=30, positives=1)
    more = world(queries=10, positives=2, seed=1)
    both = [np.concatenate(pair) for pair in zip((codes, scores, positive), more, strict=True)]
    both[0][len(codes) :] += 30
    assert fit_margin(*both, reference="mean", caught_share=0.5).hidden == 20
    with pytest.raises(InputError, match=r"mining\.guard\.caught_share: found 0 .* at least 20"):
        fit_margin(codes, scores, positive, reference="mean", caught_share=0.5)


def test_a_margin_does_not_change_when_a_query_s_scores_move_together() -> None:
    codes, scores, positive = world()
    moved = scores + 100.0 * codes
    plain = fit_margin(codes, scores, positive, reference="strongest", caught_share=0.7)
    other = fit_margin(codes, moved, positive, reference="strongest", caught_share=0.7)
    assert other.threshold == pytest.approx(plain.threshold)
    assert other.refused_share == plain.refused_share


def test_the_probability_that_a_share_of_the_positives_exceeds() -> None:
    probabilities = np.concatenate([np.arange(1, 21) / 20, np.full(10, 0.15), [np.nan]])
    positive = np.arange(31) < 20
    found = fit_probability(probabilities, positive, caught_share=0.9)
    assert found.threshold == pytest.approx(0.15)
    assert (probabilities[:20] > found.threshold).mean() == pytest.approx(0.9)
    assert found.hidden == 20
    assert 0.8 <= found.caught_share <= 1.0


def test_too_few_positives_for_a_probability_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"found 19 positives among the candidates, expected at least 20"
    ):
        fit_probability(np.full(30, 0.5), np.arange(30) < 19, caught_share=0.9)
