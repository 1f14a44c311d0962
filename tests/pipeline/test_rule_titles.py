import pytest

from strop.pipeline.mining.rule_titles import rule_title


@pytest.mark.parametrize(
    ("rule", "title"),
    [
        ("margin by first_stage", "margin by the first stage"),
        ("margin by fused", "margin by the fused score"),
        (
            "relative by reranker + teacher + earlier_round",
            "relative margin by the reranker and the teacher and the reranker of an earlier round",
        ),
        ("percentage by teacher", "share of the positive's score by the teacher"),
        ("above_max_score", "above the highest score of a negative"),
        ("unsure by verdict", "unsure by verdict"),
        ("not_sampled", "not sampled"),
    ],
)
def test_a_rule_reads_in_plain_words(rule, title):
    assert rule_title(rule) == title
