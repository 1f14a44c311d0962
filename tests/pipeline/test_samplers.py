import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.pipeline.mining.samplers import SAMPLERS, Draw, hard_share_of_round

SCORES = np.array([0.5, 3.0, -1.0, 2.0, 3.0, 0.0])


def draw(name: str, count: int, *, share: float = 0.5, seed: int = 0) -> tuple[list[int], list]:
    random = np.random.default_rng(seed)
    chosen, names = SAMPLERS[name](Draw(SCORES, count, share, random))
    return chosen.tolist(), names


def test_top_takes_the_best_and_the_first_of_equals() -> None:
    assert draw("top", 3) == ([1, 4, 3], ["top"] * 3)


def test_candidates_that_were_not_scored_are_the_easiest() -> None:
    scores = np.array([np.nan, -5.0, np.nan, -4.0])
    chosen, _ = SAMPLERS["top"](Draw(scores, 3, 0.5, np.random.default_rng(0)))
    assert chosen.tolist() == [3, 1, 0]


def test_mixed_takes_its_share_by_score_and_the_rest_from_what_is_left() -> None:
    chosen, names = draw("mixed", 4, share=0.5)
    assert chosen[:2] == [1, 4]
    assert set(chosen[2:]) < {0, 2, 3, 5}
    assert names == ["top", "top", "uniform", "uniform"]
    assert draw("mixed", 4, share=1.0)[0] == [1, 4, 3, 0]
    assert draw("mixed", 4, share=0.0)[1] == ["uniform"] * 4


def test_uniform_takes_every_candidate_about_as_often() -> None:
    counts = np.bincount(
        np.concatenate([draw("uniform", 2, seed=seed)[0] for seed in range(600)]), minlength=6
    )
    assert counts.sum() == 1200
    # 200 expected each; the standard deviation of a count is sqrt(600 * 1/3 * 2/3) = 11.5
    assert abs(counts - 200).max() < 58


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_seed_decides(name: str) -> None:
    assert draw(name, 3, seed=1) == draw(name, 3, seed=1)
    if name != "top":
        assert len({str(draw(name, 3, seed=seed)) for seed in range(9)}) > 1


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(SAMPLERS)),
    candidates=st.integers(0, 12),
    count=st.integers(1, 15),
    share=st.floats(0, 1),
)
def test_samplers_never_repeat_and_never_fill_up(
    name: str, candidates: int, count: int, share: float
) -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=candidates)
    chosen, names = SAMPLERS[name](Draw(scores, count, share, random))
    assert len(chosen) == len(names) == min(count, candidates)
    assert len(set(chosen.tolist())) == len(chosen)
    assert set(chosen.tolist()) <= set(range(candidates))


def test_the_hard_share_grows_in_equal_steps_to_its_full_value() -> None:
    assert [round(hard_share_of_round(0.6, r, 3), 9) for r in (1, 2, 3, 4)] == [0.0, 0.3, 0.6, 0.6]
    assert hard_share_of_round(0.6, 1, 1) == 0.6
