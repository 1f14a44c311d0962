"""Every alarm is provoked by scores that have its defect; a healthy run fires none."""

import re
from itertools import pairwise

import numpy as np
import pytest

from strop.artifacts.schemas import DIAGNOSIS_ALARMS
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.alarms import AlarmLimits, alarms_table
from strop.pipeline.evaluation.diagnosis import diagnose
from strop.pipeline.evaluation.ranking import build_ranking

QUERIES, CANDIDATES = 40, 8


def scores(*, gap=2.0, scale=1.0, level=0.0, seed=1):
    """Normal scores of 40 queries; each one's first candidate is its positive, ``gap`` above."""
    drawn = np.random.default_rng(seed).normal(size=(QUERIES, CANDIDATES))
    drawn[:, 0] += gap
    return level + scale * drawn


def pushed_down(before):
    """The same order, with every low score pushed to one floor: apart, but ranked no better."""
    return np.log1p(np.exp(4 * before)) / 4


def diagnosed(tables, now, before=None, *, positive="p0"):
    ids = [f"q{number}" for number in range(QUERIES)]
    candidates = tables.candidates({q: [f"p{i}" for i in range(CANDIDATES)] for q in ids})
    judgements = tables.judgements({q: {positive: 1} for q in ids})
    rankings = [
        None if side is None else build_ranking(candidates, side.ravel(), CANDIDATES)
        for side in (now, before)
    ]
    return diagnose(rankings[0], judgements, before=rankings[1])


def test_a_training_that_ends_where_equal_scores_are_has_learned_nothing(tables):
    def found(share, before=None):
        ids = [f"q{number}" for number in range(QUERIES)]
        candidates = tables.candidates({q: [f"p{i}" for i in range(CANDIDATES)] for q in ids})
        judgements = tables.judgements({q: {"p0": 1} for q in ids})
        ranking = build_ranking(candidates, scores().ravel(), CANDIDATES)
        return diagnose(ranking, judgements, before=before and ranking, loss_share=share).alarms

    (alarm,) = found(0.98)
    assert alarm.name == "underfit"
    assert "the loss of its last quarter is 0.98 of that of equal scores" in str(alarm)
    assert not found(0.9)
    assert not found(0.98, before=True), "harder negatives raise the loss of later rounds"
    assert not found(None)


def test_scores_that_were_never_spread_are_underfit_and_ask_for_no_lower_rate(tables):
    def found(scale=0.001, **facts):
        ids = [f"q{number}" for number in range(QUERIES)]
        candidates = tables.candidates({q: [f"p{i}" for i in range(CANDIDATES)] for q in ids})
        judgements = tables.judgements({q: {"p0": 1} for q in ids})
        ranking = build_ranking(candidates, scores(scale=scale).ravel(), CANDIDATES)
        return diagnose(ranking, judgements, **facts).alarms

    (alarm,) = found(stayed_flat=True)
    assert alarm.name == "underfit"
    assert alarm.value < alarm.limit == AlarmLimits().min_spread
    assert "training.learning_rate up" in str(alarm)
    assert "learning_rate down" not in str(alarm)
    assert set(config_keys(alarm.remedy)) == {
        "training.pairs_per_round",
        "training.epochs",
        "training.learning_rate",
    }
    (alarm,) = found(stayed_flat=True, loss_share=0.99)
    assert alarm.limit == AlarmLimits().max_loss_share, "told once"
    assert [alarm.name for alarm in found()] == ["collapse"]
    assert found(scale=1.0, stayed_flat=True) == ()


def test_a_healthy_run_fires_none(tables):
    rounds = [scores(gap=gap, seed=3) for gap in (1.5, 1.8, 2.1)]
    assert diagnosed(tables, rounds[0]).alarms == ()
    for before, now in pairwise(rounds):
        assert diagnosed(tables, now, before).alarms == ()


CASES = {
    "no positives": (scores(), None, "missing"),
    "collapse": (scores(scale=0.001), None, "p0"),
    "weak": (scores(gap=0.0), None, "p0"),
    # Levels that differ from query to query hide a gap that every query has.
    "overlap": (scores() + 20 * np.arange(QUERIES)[:, None], None, "p0"),
    "over-conservative": (pushed_down(scores()), scores(), "p0"),
    "drift": (scores(level=9.0), scores(), "p0"),
    "rescaling": (scores(scale=5.0), scores(), "p0"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_defect_raises_its_alarm_with_cause_and_remedy(tables, name):
    now, before, positive = CASES[name]
    raised = {a.name: a for a in diagnosed(tables, now, before, positive=positive).alarms}
    assert name in raised
    alarm = raised[name]
    assert set(raised) <= {name, "overlap", "weak"}
    assert alarm.evidence in str(alarm)
    assert f"Likely cause: {alarm.cause}. Treat: {alarm.remedy}." in str(alarm)
    assert config_keys(alarm.remedy)


@pytest.mark.parametrize(
    ("now", "name"), [(scores(level=-9.0), "drift"), (scores(scale=0.2), "rescaling")]
)
def test_scores_that_fall_or_shrink_alarm_like_those_that_rise_or_spread(tables, now, name):
    assert [alarm.name for alarm in diagnosed(tables, now, scores()).alarms] == [name]


def config_keys(text):
    """The config keys that a remedy names; each must exist."""
    found = re.findall(r"[a-z_]+(?:\.[a-z_]+)+", text)
    for key in found:
        place = Config()
        for part in key.split("."):
            place = getattr(place, part)
    return found


def test_a_gap_that_grows_with_the_metric_is_no_over_conservatism(tables):
    raised = diagnosed(tables, scores(gap=2.5), scores(gap=1.0)).alarms
    assert "over-conservative" not in {alarm.name for alarm in raised}


def test_where_no_positive_is_outscored_there_is_nothing_to_gain(tables):
    best = scores(gap=9.0)
    raised = diagnosed(tables, scores(gap=12.0), best).alarms
    assert "over-conservative" not in {alarm.name for alarm in raised}


def test_alarms_are_kept_as_a_table_with_their_limits(tables):
    found = diagnosed(tables, scores(level=9.0), scores()).alarms
    table = alarms_table(found, "dev")
    assert table.schema == DIAGNOSIS_ALARMS
    (row,) = table.to_pylist()
    assert (row["name"], row["limit"]) == ("drift", AlarmLimits().max_shift)
    assert row["value"] > row["limit"]


def test_scores_that_are_not_numbers_are_refused(tables):
    broken = scores()
    broken[3, 2] = np.nan
    with pytest.raises(InputError, match="1 of 320 reranker scores are not finite"):
        diagnosed(tables, broken)
