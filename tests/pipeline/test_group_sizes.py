import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.pipeline.mining.group_sizes import difficulties, group_sizes


def sizes(difficulty: list[float], available: list[int], mean: int, low: int, high: int) -> tuple:
    found, unfilled = group_sizes(
        np.asarray(difficulty, float), np.asarray(available), mean=mean, low=low, high=high
    )
    return found.tolist(), unfilled


def test_difficulty_is_the_share_of_scored_candidates_near_the_positive() -> None:
    codes = np.array([0, 0, 0, 0, 0, 2, 2])
    scores = np.array([5.0, 4.5, 1.0, np.nan, 9.0, 3.0, 2.0])
    reference = np.array([5.0] * 5 + [np.nan] * 2)
    candidate = np.array([False, True, True, True, False, True, True])
    found = difficulties(codes, scores, reference, candidate, 1.0, 3)
    assert found.tolist() == [0.5, 0.0, 0.0]


def test_competitive_queries_take_members_from_easy_ones() -> None:
    assert sizes([0.0, 0.5, 1.0], [99] * 3, 16, 8, 24) == ([8, 16, 24], 0)
    assert sizes([0.5, 0.5, 0.5], [99] * 3, 16, 8, 24) == ([16, 16, 16], 0)
    assert sizes([0.0, 0.0, 0.0, 1.0], [99] * 4, 8, 4, 16) == ([6, 5, 5, 16], 0)


def test_what_a_short_pool_cannot_fill_goes_to_others_up_to_their_bound() -> None:
    assert sizes([0.0, 0.0, 0.0], [3, 99, 99], 8, 4, 12) == ([4, 10, 10], 0)
    assert sizes([0.0, 0.0, 0.0], [3, 99, 99], 8, 4, 9) == ([4, 9, 9], 2)


def test_equal_bounds_carry_nothing_over() -> None:
    assert sizes([0.9, 0.1, 0.5], [99, 3, 0], 16, 16, 16) == ([16, 4, 1], 27)


def test_no_queries_have_no_sizes() -> None:
    assert sizes([], [], 16, 8, 24) == ([], 0)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40)), min_size=1, max_size=30),
    low=st.integers(2, 8),
    below=st.integers(0, 8),
    above=st.integers(0, 8),
)
def test_sizes_keep_bounds_budget_and_order(
    rows: list[tuple[float, int]], low: int, below: int, above: int
) -> None:
    mean, high = low + below, low + below + above
    difficulty, available = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found, unfilled = group_sizes(difficulty, available, mean=mean, low=low, high=high)
    ceiling = np.minimum(high, available + 1)
    assert (found <= ceiling).all()
    assert (found >= np.minimum(low, ceiling)).all()
    assert found.sum() == min(mean * len(rows), ceiling.sum())
    assert unfilled == mean * len(rows) - found.sum()
    free = ceiling == high
    # The order of difficulty is that of sizes, but for one member where two are nearly equal.
    order = np.argsort(difficulty[free], kind="stable")
    least = np.where(np.diff(difficulty[free][order]) < 1e-6, -1, 0)
    assert (np.diff(found[free][order]) >= least).all()
