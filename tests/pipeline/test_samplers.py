from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.pipeline.config import Mining
from strop.pipeline.mining.samplers import SAMPLERS, Draw, in_batch_count

SCORES = np.array([0.5, 3.0, -1.0, 2.0, 3.0, 0.0])


def draw(
    name: str,
    count: int,
    *,
    scores: Any = SCORES,
    first_stage: Any = None,
    positive: float = 2.5,
    hardness: float = 1.0,
    seed: int = 0,
    quotas: dict[str, float] | None = None,
    **config: Any,
) -> tuple[list[int], list[str]]:
    shares = {"reranker_hard": 0.0, "random": 0.0, **quotas} if quotas else {}
    made = Draw(
        scores=np.asarray(scores, float),
        first_stage_scores=-np.arange(len(scores)) if first_stage is None else first_stage,
        positive_score=positive,
        count=count,
        hardness=hardness,
        config=Mining(sampler=name, quotas=shares, **config),
        random=np.random.default_rng(seed),
    )
    chosen, names = SAMPLERS[name](made)
    return chosen.tolist(), names


def shares_of_one_draw(name: str, scores: Any, times: int = 4000, **config: Any) -> np.ndarray:
    chosen = [draw(name, 1, scores=scores, seed=seed, **config)[0][0] for seed in range(times)]
    return np.bincount(chosen, minlength=len(scores)) / times


def test_top_takes_the_best_and_the_first_of_equals() -> None:
    assert draw("top", 3) == ([1, 4, 3], ["top"] * 3)


def test_candidates_that_were_not_scored_are_the_easiest() -> None:
    scores = [np.nan, -5.0, np.nan, -4.0]
    assert draw("top", 3, scores=scores)[0] == [3, 1, 0]
    assert draw("quantile", 3, scores=scores, quantile_low=0.5, quantile_high=1)[0] == [1, 3]


def test_mixed_takes_its_share_by_score_and_the_rest_from_what_is_left() -> None:
    chosen, names = draw("mixed", 4)
    assert chosen[:2] == [1, 4]
    assert set(chosen[2:]) < {0, 2, 3, 5}
    assert names == ["top", "top", "uniform", "uniform"]
    assert draw("mixed", 4, quotas={"reranker_hard": 1})[0] == [1, 4, 3, 0]


def test_what_the_curriculum_takes_from_hard_quotas_goes_to_random_ones() -> None:
    quotas = {"reranker_hard": 0.5, "first_stage_hard": 0.5}
    assert draw("mixed", 4, hardness=0, quotas=quotas)[1] == ["uniform"] * 4
    assert (
        draw("mixed", 4, hardness=0.5, quotas=quotas)[1] == ["top", "first_stage"] + ["uniform"] * 2
    )


def test_mixed_takes_the_first_stage_s_hardest_of_what_the_reranker_s_left() -> None:
    first_stage = np.array([0.0, 9.0, np.nan, 5.0, 1.0, 7.0])
    chosen, names = draw(
        "mixed",
        4,
        first_stage=first_stage,
        quotas={"reranker_hard": 0.25, "first_stage_hard": 0.5, "random": 0.25},
    )
    assert chosen[:3] == [1, 5, 3]
    assert names == ["top", "first_stage", "first_stage", "uniform"]


def test_mixed_leaves_the_places_of_other_queries_positives_free() -> None:
    quotas = {"reranker_hard": 0.5, "in_batch": 0.5}
    assert draw("mixed", 4, quotas=quotas) == ([1, 4], ["top", "top"])
    assert in_batch_count(4, Mining(quotas={**quotas, "random": 0})) == 2
    assert in_batch_count(4, Mining(sampler="top", quotas={**quotas, "random": 0})) == 0


def test_mixed_draws_the_random_ones_as_it_always_has() -> None:
    # Written down from the first release: runs and their artifacts must not change.
    scores = np.cos(np.arange(30) * 7.0)
    chosen, _ = draw("mixed", 9, scores=scores, hardness=0.5, seed=5)
    left = np.setdiff1d(np.arange(30), chosen[:2])
    expected = left[np.random.default_rng(5).permutation(28)[:7]]
    assert chosen[:2] == np.argsort(-scores)[:2].tolist()
    assert chosen[2:] == sorted(expected.tolist())


def test_uniform_takes_every_candidate_about_as_often() -> None:
    counts = np.bincount(
        np.concatenate([draw("uniform", 2, seed=seed)[0] for seed in range(600)]), minlength=6
    )
    assert counts.sum() == 1200
    # 200 expected each; the standard deviation of a count is sqrt(600 * 1/3 * 2/3) = 11.5
    assert abs(counts - 200).max() < 58


def test_log_rank_prefers_low_ranks_by_its_formula() -> None:
    # Ranks by score are 3, 1, 2; the standard deviation of a share is below 0.008.
    weights = np.log1p(1 / np.array([3, 1, 2]))
    found = shares_of_one_draw("log_rank", [1.0, 3.0, 2.0])
    assert found == pytest.approx(weights / weights.sum(), abs=0.03)


def test_simans_prefers_scores_near_the_positive_by_its_formula() -> None:
    scores = np.array([0.0, 1.0, 2.0, 3.0])
    config = {"simans_steepness": 0.4, "simans_offset": -0.5}
    weights = np.exp(-0.4 * (scores - 2.5 + 0.5) ** 2)
    found = shares_of_one_draw("simans", scores, **config)
    assert found == pytest.approx(weights / weights.sum(), abs=0.03)


def test_simans_takes_unscored_candidates_only_where_others_are_too_few() -> None:
    scores = [np.nan, 1.0, np.nan, -900.0]
    for seed in range(20):
        assert draw("simans", 2, scores=scores, seed=seed)[0] == [1, 3]
    chosen, names = draw("simans", 3, scores=scores)
    assert set(chosen) > {1, 3}
    assert sorted(names) == ["simans", "simans", "uniform"]
    without = shares_of_one_draw("simans", [0.0, 50.0], positive=np.nan, times=1000)
    assert without == pytest.approx([0.5, 0.5], abs=0.08)


def test_quantile_draws_from_its_band_and_does_not_fill_up() -> None:
    # Of six candidates the i-th easiest is the quantile (i - 1/2) / 6: 0.08, 0.25, … 0.92.
    band = {"quantile_low": 0.2, "quantile_high": 0.6}
    assert draw("quantile", 6, scores=[5, 4, 3, 2, 1, 0], **band) == ([2, 3, 4], ["quantile"] * 3)
    for seed in range(9):
        assert set(draw("quantile", 2, scores=[5, 4, 3, 2, 1, 0], seed=seed, **band)[0]) < {2, 3, 4}


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_seed_decides(name: str) -> None:
    assert draw(name, 3, seed=1) == draw(name, 3, seed=1)
    if name != "top":
        band = {"quantile_low": 0.0, "quantile_high": 1.0}
        assert len({str(draw(name, 3, seed=seed, **band)) for seed in range(9)}) > 1


@settings(max_examples=80, deadline=None)
@given(
    name=st.sampled_from(sorted(SAMPLERS)),
    candidates=st.integers(0, 12),
    unscored=st.integers(0, 12),
    count=st.integers(0, 15),
    hardness=st.floats(0, 1),
)
def test_samplers_never_repeat_and_never_fill_up(
    name: str, candidates: int, unscored: int, count: int, hardness: float
) -> None:
    scores = np.random.default_rng(0).normal(size=candidates)
    scores[:unscored] = np.nan
    band = {"quantile_low": 0.0, "quantile_high": 1.0}
    chosen, names = draw(name, count, scores=scores, hardness=hardness, **band)
    assert len(chosen) == len(names) == min(count, candidates)
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= set(range(candidates))
