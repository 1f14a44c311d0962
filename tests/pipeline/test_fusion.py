import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.fusion import choose_weight, fuse, z_scores
from strop.pipeline.evaluation.ranking import build_ranking


def test_z_scores_are_per_query_with_the_population_deviation():
    query = np.array([0, 1, 0, 1])
    scores = np.array([1.0, 7.0, 3.0, 7.0])
    assert z_scores(query, scores).tolist() == [-1.0, 0.0, 1.0, 0.0]


def test_equal_scores_give_zeros_in_spite_of_rounding():
    assert z_scores(np.zeros(3, int), np.full(3, 0.1)).tolist() == [0.0, 0.0, 0.0]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(-50, 50), min_size=2, max_size=12, unique=True),
    st.floats(0.1, 10),
    st.floats(-100, 100),
)
def test_fusion_is_blind_to_scale_and_shift_of_a_query(scores, scale, shift):
    query = np.zeros(len(scores), int)
    values = np.array(scores, float)
    np.testing.assert_allclose(
        z_scores(query, values * scale + shift), z_scores(query, values), atol=1e-8
    )


def test_fused_scores_by_hand(tables):
    # z(reranker) = (-1, 1), z(first stage) = (1, -1): fused = 0.25·(-1) + 0.75·1 = 0.5 and -0.5.
    ranking = build_ranking(tables.candidates({"q1": ["a", "b", "c"]}), np.array([2.0, 4.0]), 2)
    fused = fuse(ranking, 0.25)
    assert fused["fused_score"].to_pylist() == [0.5, -0.5, None]
    assert fused["fused_rank"].to_pylist() == [1, 2, 3]
    assert fuse(ranking, 0.75)["fused_rank"].to_pylist() == [2, 1, 3]


def test_queries_are_fused_apart(tables):
    scores = np.array([2.0, 4.0, 3.0, 50.0, 20.0, 10.0])
    far_apart = [3.0, 2.0, 1.0, 900.0, 500.0, 100.0]
    both = tables.candidates({"q1": ["a", "b", "c"], "q2": ["a", "b", "c"]}, scores=far_apart)
    together = fuse(build_ranking(both, scores, 3), 0.4)
    for query, rows in (("q1", slice(0, 3)), ("q2", slice(3, 6))):
        one = tables.candidates({query: ["a", "b", "c"]}, scores=far_apart[rows])
        alone = fuse(build_ranking(one, scores[rows], 3), 0.4)
        assert together.slice(rows.start, 3).equals(alone)


def test_the_ends_of_the_weight_are_the_first_stage_and_the_reranker(tables):
    found = tables.candidates({"q1": list("abcdef"), "q2": list("abcdef")})
    ranking = build_ranking(found, np.random.default_rng(1).normal(size=8), 4)
    assert fuse(ranking, 0)["fused_rank"].to_pylist() == ranking["first_stage_rank"].to_pylist()
    assert fuse(ranking, 1)["fused_rank"].to_pylist() == ranking["rank"].to_pylist()


def test_candidates_beyond_the_depth_do_not_move_the_z_scores(tables):
    scores = np.array([2.0, 4.0, 3.0])
    near = tables.candidates({"q1": ["a", "b", "c"]})
    far = tables.candidates({"q1": ["a", "b", "c", "d"]}, scores=[10, 9, 8, -1000])
    short = fuse(build_ranking(near, scores, 3), 0.5)["fused_score"].to_pylist()
    assert fuse(build_ranking(far, scores, 3), 0.5)["fused_score"].to_pylist() == [*short, None]


def test_a_reranker_that_alone_is_right_gets_all_the_weight(tables):
    found = tables.candidates({"q1": ["a", "b"]})
    ranking = build_ranking(found, np.array([0.0, 1.0]), 2)
    choice = choose_weight(ranking, tables.judgements({"q1": {"b": 1}}))
    assert choice.weight == 1.0
    assert [weight for weight, _ in choice.curve] == [i / 10 for i in range(11)]
    assert choice.curve[0][1] == pytest.approx(1 / np.log2(3))
    assert choice.curve[10][1] == 1.0


def test_two_equally_good_scores_share_the_weight(tables):
    # q1 is decided by the first stage alone, q2, in the same way, by the reranker alone.
    found = tables.candidates({"q1": ["a", "b"], "q2": ["a", "b"]}, scores=[2.0, 1.0, 5.0, 5.0])
    ranking = build_ranking(found, np.array([7.0, 7.0, 2.0, 1.0]), 2)
    judged = tables.judgements({"q1": {"a": 1}, "q2": {"a": 1}})
    assert choose_weight(ranking, judged).weight == 0.5


def test_queries_whose_positive_was_not_scored_do_not_decide(tables):
    found = tables.candidates({"q1": ["a", "b"], "q2": ["a", "b"]})
    ranking = build_ranking(found, np.array([0.0, 1.0, 0.0, 1.0]), 2)
    judged = tables.judgements({"q1": {"b": 1}, "q2": {"z": 1}})
    assert choose_weight(ranking, judged).weight == 1.0


def test_a_reranker_that_is_wrong_gets_no_weight(tables):
    ranking = build_ranking(tables.candidates({"q1": ["a", "b"]}), np.array([0.0, 1.0]), 2)
    assert choose_weight(ranking, tables.judgements({"q1": {"a": 1}})).weight == 0.0


@pytest.mark.parametrize("weight", [-0.1, 1.5, float("nan")])
def test_a_weight_outside_zero_to_one_is_refused(tables, weight):
    with pytest.raises(InputError, match="is not between 0"):
        fuse(build_ranking(tables.candidates({"q1": ["a"]}), np.zeros(1), 1), weight)
