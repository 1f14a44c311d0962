import numpy as np

from strop.pipeline.mining.mining_score import MiningScore, mining_score

CODES = np.array([0, 0, 1, 1])
FIRST = np.array([0.9, 0.7, 0.3, 0.1])  # deviations within queries 0.1
RERANKER = np.array([-6.0, -2.0, 8.0, 12.0])  # deviations within queries 2.0


def combined(reranker: np.ndarray | None, weight: float) -> MiningScore:
    return mining_score(CODES, FIRST, reranker, weight=weight, margin=1.5, first_stage_margin=0.05)


def test_without_a_reranker_or_at_weight_0_the_first_stage_mines_in_its_own_units() -> None:
    for found in (combined(None, 0.0), combined(None, 1.0), combined(RERANKER, 0.0)):
        assert (found.values.tolist(), found.margin, found.source) == (
            FIRST.tolist(),
            0.05,
            "first_stage",
        )


def test_at_weight_1_the_reranker_alone_mines() -> None:
    found = combined(RERANKER, 1.0)
    assert (found.values.tolist(), found.margin, found.source) == (
        RERANKER.tolist(),
        1.5,
        "reranker",
    )


def test_in_between_the_first_stage_is_brought_to_the_scale_of_the_logits() -> None:
    # scale 2.0 / 0.1 = 20, proportion (1 - 0.8) / 0.8 = 0.25: reranker + 5 * first stage
    found = combined(RERANKER, 0.8)
    np.testing.assert_allclose(found.values, [-1.5, 1.5, 9.5, 12.5])
    assert (found.margin, found.source) == (1.5, "fused")


def test_scores_that_do_not_differ_are_no_division_by_zero() -> None:
    found = mining_score(
        CODES, np.ones(4), RERANKER, weight=0.5, margin=0.0, first_stage_margin=0.0
    )
    assert np.isfinite(found.values).all()
    assert np.diff(found.values)[[0, 2]].tolist() == [4.0, 4.0]


def test_the_differences_within_a_query_do_not_change_when_its_scores_move_together() -> None:
    moved = RERANKER + np.array([5.0, 5.0, -3.0, -3.0])
    one, other = combined(RERANKER, 0.6).values, combined(moved, 0.6).values
    np.testing.assert_allclose(np.diff(one)[[0, 2]], np.diff(other)[[0, 2]])


def test_a_row_without_a_first_stage_score_says_nothing_of_the_others() -> None:
    first = np.append(FIRST, np.nan)
    found = mining_score(
        np.append(CODES, 1),
        first,
        np.append(RERANKER, 20.0),
        weight=0.8,
        margin=1.5,
        first_stage_margin=0.05,
    )
    spread = np.std([-2, 2, -16 / 3, -4 / 3, 20 / 3])
    np.testing.assert_allclose(found.values[:4], RERANKER + spread / 0.1 * 0.25 * FIRST)
    assert np.isnan(found.values[4])
