import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.significance import (
    bootstrap_interval,
    cluster_codes,
    holm,
    paired_comparison,
    smallest_detectable_difference,
)


def pair(n: int, *, gain: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    opponent = rng.random(n)
    return opponent + rng.normal(gain, 0.3, n), opponent


def mean_difference(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
    return (a - b).mean(axis=axis)


def test_three_gains_by_hand():
    # Of the 8 possible swaps, only "swap none" reaches the gain, and "swap all" its size.
    result = paired_comparison(np.array([1.0, 1.0, 1.0]), np.zeros(3), np.arange(3), seed=1)
    assert (result.difference, result.n) == (1.0, 3)
    assert (result.p_gain, result.p_value, result.p_loss) == (1 / 8, 2 / 8, 1.0)


def test_no_difference_is_no_evidence():
    same = np.array([0.2, 0.4, 0.9])
    result = paired_comparison(same, same, np.arange(3), seed=1)
    assert (result.p_gain, result.p_value, result.p_loss) == (1.0, 1.0, 1.0)
    assert (result.ci_low, result.ci_high) == (0.0, 0.0)


def test_no_number_of_samples_shows_a_chance_of_nothing():
    # 40 gains: none of 999 random swaps reaches them, but what was observed is one of 1,000.
    result = paired_comparison(np.ones(40), np.zeros(40), np.arange(40), seed=1, samples=999)
    assert (result.p_gain, result.p_value, result.p_loss) == (1 / 1000, 1 / 1000, 1.0)


@pytest.mark.parametrize("gain", [0.0, 0.05, -0.05])
@pytest.mark.parametrize("n", [10, 150])
def test_p_values_agree_with_scipy(n, gain):
    challenger, opponent = pair(n, gain=gain)
    ours = paired_comparison(challenger, opponent, np.arange(n), seed=1)
    for alternative, p_value in (
        ("two-sided", ours.p_value),
        ("greater", ours.p_gain),
        ("less", ours.p_loss),
    ):
        theirs = stats.permutation_test(
            (challenger, opponent),
            mean_difference,
            permutation_type="samples",
            vectorized=True,
            alternative=alternative,
            n_resamples=10_000,
            batch=2_000,
            rng=np.random.default_rng(5),
        )
        # 10 queries are enumerated by both; else the error of two samples of 10,000 remains.
        assert p_value == pytest.approx(theirs.pvalue, abs=1e-12 if n == 10 else 0.02)


def test_the_interval_agrees_with_scipy():
    challenger, opponent = pair(150, gain=0.05)
    ours = paired_comparison(challenger, opponent, np.arange(150), seed=1)
    theirs = stats.bootstrap(
        (challenger - opponent,),
        np.mean,
        method="percentile",
        n_resamples=10_000,
        batch=2_000,
        rng=np.random.default_rng(5),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.ci_low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours.ci_high == pytest.approx(theirs.high, abs=0.05 * width)


def test_copies_in_a_cluster_add_no_evidence():
    challenger, opponent = pair(40, gain=0.05)
    single = paired_comparison(challenger, opponent, np.arange(40), seed=1)
    copies = [np.repeat(side, 5) for side in (challenger, opponent, np.arange(40))]
    clustered = paired_comparison(copies[0], copies[1], copies[2], seed=1)
    assert (clustered.n, clustered.num_clusters) == (200, 40)
    assert clustered.p_gain == pytest.approx(single.p_gain)
    assert clustered.ci_low == pytest.approx(single.ci_low)
    assert clustered.smallest_detectable == pytest.approx(single.smallest_detectable)
    by_query = paired_comparison(copies[0], copies[1], np.arange(200), seed=1)
    assert by_query.ci_high - by_query.ci_low < 0.6 * (single.ci_high - single.ci_low)


def test_a_mean_over_unequal_clusters_is_one_over_the_queries_that_were_drawn():
    clusters = np.repeat(np.arange(30), np.arange(1, 31))
    low, high = bootstrap_interval(
        np.full(len(clusters), 0.4), clusters, rng=np.random.default_rng(1), samples=200
    )
    assert (low, high) == pytest.approx((0.4, 0.4))


def test_the_test_keeps_its_level_when_nothing_differs():
    rejected = [
        paired_comparison(*pair(60, gain=0.0, seed=s), np.arange(60), seed=s, samples=500).p_gain
        < 0.05
        for s in range(300)
    ]
    assert 0.02 < np.mean(rejected) < 0.085


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-8, 8), min_size=1, max_size=9), st.integers(0, 99))
def test_swapping_the_sides_mirrors_the_comparison(differences, seed):
    values = np.array(differences) / 8
    zeros, clusters = np.zeros(len(values)), np.arange(len(values))
    forth = paired_comparison(values, zeros, clusters, seed=seed, samples=600)
    back = paired_comparison(zeros, values, clusters, seed=seed, samples=600)
    assert (forth.difference, forth.p_gain) == (-back.difference, back.p_loss)
    assert forth.p_value == back.p_value
    assert forth.ci_low == pytest.approx(-back.ci_high)


def test_blocks_do_not_change_what_is_drawn(monkeypatch):
    challenger, opponent = pair(70, gain=0.03)
    whole = paired_comparison(challenger, opponent, np.arange(70), seed=3, samples=999)
    monkeypatch.setattr("strop.pipeline.evaluation.significance.BLOCK_VALUES", 8 * 70)
    assert paired_comparison(challenger, opponent, np.arange(70), seed=3, samples=999) == whole


def test_groups_are_resampled_only_where_they_can_carry_it():
    many = pa.chunked_array([[f"g{i // 2}" for i in range(40)]])
    assert cluster_codes(many).tolist() == [i // 2 for i in range(40)]
    few = pa.chunked_array([[f"g{i // 4}" for i in range(40)]])
    assert cluster_codes(few).tolist() == list(range(40))


def test_the_smallest_detectable_difference_by_hand():
    # sd 1 over 100 queries: (1.960 + 0.842) · 1 / 10
    differences = np.tile([-1.0, 1.0], 50) * np.sqrt(99 / 100)
    assert smallest_detectable_difference(differences, np.arange(100)) == pytest.approx(
        0.2802, abs=1e-4
    )
    assert smallest_detectable_difference(np.array([1.0]), np.zeros(1, int)) == float("inf")


def test_holm_by_hand():
    # 3 · 0.01, then 2 · 0.03, then the larger of 1 · 0.04 and what came before.
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values):
    adjusted = holm(p_values)
    assert all(p <= new <= 1 for p, new in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


@pytest.mark.parametrize(
    ("challenger", "opponent", "message"),
    [
        ([1.0], [1.0, 2.0], "got 1 of the challenger, 2 of the opponent"),
        ([1.0, float("nan")], [1.0, 2.0], "not a finite number"),
        ([], [], "no query to compare"),
    ],
)
def test_what_cannot_be_paired_is_refused(challenger, opponent, message):
    with pytest.raises(InputError, match=message):
        paired_comparison(
            np.array(challenger), np.array(opponent), np.arange(len(opponent)), seed=1
        )


def test_memory_stays_bounded_for_many_queries():
    values = np.random.default_rng(0).random(200_000)
    low, high = bootstrap_interval(
        values, np.arange(200_000), rng=np.random.default_rng(1), samples=50
    )
    assert low < values.mean() < high
