import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from strop.artifacts.schemas import DIAGNOSIS_HISTOGRAM, DIAGNOSIS_SUMMARY, RELIABILITY
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.alarms import AlarmLimits
from strop.pipeline.evaluation.diagnosis import auc, diagnose, kolmogorov_smirnov
from strop.pipeline.evaluation.ranking import build_ranking

SCORES = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=20).map(np.array)


def diagnosed(tables, scores_by_query, grades, **options):
    found = tables.candidates(
        {q: [f"p{i}" for i in range(len(s))] for q, s in scores_by_query.items()}
    )
    scores = np.concatenate([np.array(s, float) for s in scores_by_query.values()])
    ranking = build_ranking(found, scores, 100)
    return diagnose(ranking, tables.judgements(grades), **options)


def numbers(diagnosis):
    return dict(
        zip(
            diagnosis.summary["name"].to_pylist(),
            diagnosis.summary["value"].to_pylist(),
            strict=True,
        )
    )


def test_numbers_by_hand(tables):
    # q1: positive 3 above 1 and 2. q2: positive 11 between 10 and 12. A shift of 10 apart.
    found = diagnosed(
        tables, {"q1": [3, 1, 2], "q2": [11, 10, 12]}, {"q1": {"p0": 1}, "q2": {"p0": 2}}
    )
    values = numbers(found)
    assert found.summary.schema == DIAGNOSIS_SUMMARY
    assert (values["num_positives"], values["num_negatives"]) == (2, 4)
    assert (values["mean_positive"], values["mean_negative"]) == (7.0, 6.25)
    assert values["auc"] == pytest.approx((2 + 3) / 8)
    assert values["auc_within_query"] == pytest.approx((1 + 0.5) / 2)
    assert values["outscored_share"] == 0.5
    assert values["spread"] == pytest.approx(np.sqrt(2 / 3))
    squares = 2 * 4**2 + (5.25**2 + 4.25**2 + 3.75**2 + 5.75**2)
    assert values["gap"] == pytest.approx(0.75 / np.sqrt(squares / 4))


@settings(max_examples=30, deadline=None)
@given(SCORES, SCORES)
def test_auc_and_ks_agree_with_scipy(positives, negatives):
    u_statistic = stats.mannwhitneyu(positives, negatives).statistic
    assert auc(positives, negatives) == pytest.approx(
        u_statistic / (len(positives) * len(negatives))
    )
    shares = [stats.ecdf(side).cdf for side in (positives, negatives)]
    values = np.concatenate((positives, negatives))
    ks = np.abs(shares[0].evaluate(values) - shares[1].evaluate(values)).max()
    assert kolmogorov_smirnov(positives, negatives) == pytest.approx(ks)


def test_shifting_a_query_leaves_what_is_measured_within_queries(tables):
    grades = {"q1": {"p0": 1}, "q2": {"p1": 1}}
    plain = numbers(diagnosed(tables, {"q1": [3, 1, 4], "q2": [0, 2, 5]}, grades))
    moved = numbers(diagnosed(tables, {"q1": [103, 101, 104], "q2": [0, 2, 5]}, grades))
    for name in ("auc_within_query", "outscored_share", "spread"):
        assert plain[name] == pytest.approx(moved[name])


def test_the_histogram_counts_every_scored_candidate_once(tables):
    found = diagnosed(tables, {"q1": [0, 1, 2, 10]}, {"q1": {"p3": 1}}, num_bins=5)
    rows = found.histogram.to_pylist()
    assert found.histogram.schema == DIAGNOSIS_HISTOGRAM
    assert [row["count"] for row in rows if row["label"] == "negative"] == [2, 1, 0, 0, 0]
    assert [row["count"] for row in rows if row["label"] == "positive"] == [0, 0, 0, 0, 1]
    assert (rows[0]["low"], rows[4]["high"]) == (0.0, 10.0)


def test_calibration_is_told_by_hand_and_alarms_nobody(tables):
    # The sigmoid of ln 3 is 3/4, of ln 9 it is 9/10; ten logits more make every probability 1.
    log_3, log_9 = float(np.log(3)), float(np.log(9))
    grades = {"q1": {"p0": 1}, "q2": {"p1": 1}}
    scores = {"q1": [log_3, -log_3], "q2": [-log_9, log_9]}
    found = diagnosed(tables, scores, grades)
    values = numbers(found)
    assert values["ece"] == pytest.approx((0.25 + 0.25 + 0.1 + 0.1) / 4)
    assert values["brier"] == pytest.approx((2 / 16 + 2 / 100) / 4)
    assert values["brier_of_base_rate"] == 0.25
    assert found.reliability.schema == RELIABILITY
    rows = found.reliability.to_pylist()
    assert [row["mean_predicted"] for row in rows] == pytest.approx([0.1, 0.25, 0.75, 0.9])
    assert [row["share_positive"] for row in rows] == [0, 0, 1, 1]
    assert {row["calibration"] for row in rows} == {"none"}
    moved = diagnosed(tables, {q: np.array(s) + 10 for q, s in scores.items()}, grades)
    assert numbers(moved)["ece"] == pytest.approx(0.5, abs=1e-3)
    assert found.alarms == moved.alarms == ()


def test_a_reranker_that_separates_raises_no_alarm(tables):
    assert (
        diagnosed(
            tables, {"q1": [5, 0, 1], "q2": [4, 1, 0]}, {"q1": {"p0": 1}, "q2": {"p0": 1}}
        ).alarms
        == ()
    )


@pytest.mark.parametrize(
    ("scores", "positive", "alarms"),
    [
        (
            [2.0, 5.0, 1.0, 4.0],
            "p2",
            ["AUC within queries 0.000 (limit 0.6", "positives and negatives overlap"],
        ),
        ([1.0, 1.001, 1.002, 0.999], "p2", ["scores have collapsed"]),
        ([1.0, 2.0, 3.0, 4.0], "missing", ["no positive is among the scored candidates"]),
    ],
)
def test_each_alarm_has_its_cause(tables, scores, positive, alarms):
    raised = diagnosed(tables, {"q1": scores}, {"q1": {positive: 1}}).alarms
    assert len(raised) == len(alarms)
    for alarm, expected in zip(raised, alarms, strict=True):
        assert expected in str(alarm)


def test_limits_move_the_alarms(tables):
    limits = AlarmLimits(min_auc=0.4, min_gap=-9.0)
    scores, grades = {"q1": [2.0, 1.0, 3.0]}, {"q1": {"p0": 1}}
    assert len(diagnosed(tables, scores, grades).alarms) == 2
    assert diagnosed(tables, scores, grades, limits=limits).alarms == ()


def test_one_scored_candidate_a_query_is_held_against_the_round_before(tables):
    found = tables.candidates({f"q{number}": ["p0", "p1"] for number in range(20)})
    grades = {f"q{number}": {"p0": 1} if number % 2 else {"p1": 1} for number in range(20)}
    before, now = (
        build_ranking(found, np.arange(20.0) + apart * (np.arange(20) % 2), depth=1)
        for apart in (1.0, 9.0)
    )
    judgements = tables.judgements(grades)
    diagnosis = diagnose(now, judgements, before=before)
    assert "outscored_share" not in numbers(diagnosis)
    assert numbers(diagnosis)["gap"] > numbers(diagnosis)["gap_before"] + 0.1
    assert "over-conservative" not in {alarm.name for alarm in diagnosis.alarms}


def test_a_ranking_without_scores_is_refused(tables):
    ranking = build_ranking(tables.candidates({"q1": ["p0"]}), None, 1)
    with pytest.raises(InputError, match="no candidate of split 'dev' has a score"):
        diagnose(ranking, tables.judgements({"q1": {"p0": 1}}))
