import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.artifacts.schemas import RANKING
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.ranking import build_ranking, rank_within, within_depth


def test_higher_scores_come_first_within_each_query_and_ties_follow_the_tiebreaks():
    query = np.array([0, 1, 0, 0, 1])
    scores = np.array([0.5, 2.0, 0.9, 0.5, 2.0])
    first_stage_rank = np.array([2, 9, 3, 1, 9])
    passage = np.array([0, 7, 0, 0, 6])
    ranks = rank_within(query, scores, first_stage_rank, passage)
    assert ranks.tolist() == [3, 2, 1, 2, 1]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([-1.0, 0.0, 0.5, 2.0])),
        min_size=1,
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
def test_ranks_are_one_to_n_per_query_and_do_not_depend_on_the_order_of_rows(pairs, random):
    query, scores = (np.array(side) for side in zip(*pairs, strict=True))
    tiebreak = np.arange(len(pairs))
    ranks = rank_within(query, scores, tiebreak)
    for code in set(query.tolist()):
        assert sorted(ranks[query == code]) == list(range(1, (query == code).sum() + 1))
    shuffled = np.array(random.sample(range(len(pairs)), len(pairs)))
    again = rank_within(query[shuffled], scores[shuffled], tiebreak[shuffled])
    assert again.tolist() == ranks[shuffled].tolist()


def test_candidates_beyond_the_depth_have_no_score_and_keep_their_order_below_the_scored(tables):
    found = tables.candidates({"q1": ["a", "b", "c", "d"], "q2": ["e"]})
    assert within_depth(found, 2)["passage_id"].to_pylist() == ["a", "b", "e"]
    ranking = build_ranking(found, np.array([-5.0, -3.0, 0.0]), 2)
    assert ranking.schema == RANKING
    assert ranking["passage_id"].to_pylist() == ["a", "b", "c", "d", "e"]
    assert ranking["rank"].to_pylist() == [2, 1, 3, 4, 1]
    assert ranking["score"].to_pylist() == [-5.0, -3.0, None, None, 0.0]
    assert ranking["fused_rank"].null_count == 5


def test_equal_scores_keep_the_order_of_the_first_stage(tables):
    found = tables.candidates({"q1": ["a", "b", "c"]}).take([2, 0, 1])
    assert build_ranking(found, np.zeros(3), 3)["rank"].to_pylist() == [3, 1, 2]


def test_without_scores_the_ranking_is_the_first_stage(tables):
    ranking = build_ranking(tables.candidates({"q1": ["a", "b", "c"]}), None, 2)
    assert ranking["rank"].to_pylist() == [1, 2, 3]
    assert ranking["score"].null_count == 3


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([1.0], "got 1 scores for 2 candidates down to depth 2"),
        ([1.0, float("nan")], "1 of 2 reranker scores are not finite"),
        ([1.0, float("inf")], "1 of 2 reranker scores are not finite"),
    ],
)
def test_scores_that_do_not_fit_are_refused(tables, scores, message):
    with pytest.raises(InputError, match=message):
        build_ranking(tables.candidates({"q1": ["a", "b", "c"]}), np.array(scores), 2)


def test_two_candidates_of_one_rank_are_refused_by_name(tables):
    found = tables.candidates({"q1": ["a", "b"]})
    twice = found.take([0, 1, 1])
    with pytest.raises(InputError, match="query 'q1' has two candidates of first-stage rank 2"):
        build_ranking(twice, None, 2)
