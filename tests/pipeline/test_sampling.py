"""Drawing positives of other queries: from all but a few, whatever the number of all."""

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strop.pipeline.mining.sampling import places_besides


@given(st.sets(st.integers(0, 11)), st.integers(0, 14), st.integers(0, 9))
def test_places_are_drawn_as_from_those_that_are_left(
    barred: set[int], count: int, seed: int
) -> None:
    left = np.setdiff1d(np.arange(12), sorted(barred))
    expected = np.random.default_rng(seed).choice(
        left, min(count, len(left)), replace=False, shuffle=False
    )
    drawn = places_besides(
        12, np.array(sorted(barred), np.int64), count, np.random.default_rng(seed)
    )
    assert drawn.tolist() == expected.tolist()


def test_a_draw_from_a_million_places_makes_no_list_of_them() -> None:
    random, barred = np.random.default_rng(0), np.arange(30)
    tracemalloc.start()
    try:
        places_besides(1_000_000, barred, 8, random)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
