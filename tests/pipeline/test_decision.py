import numpy as np
import pytest

from strop.artifacts.schemas import DECISION
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.decision import (
    Contender,
    DecisionRule,
    accept,
    decision_table,
    promote,
)


@pytest.fixture
def contender(tables):
    """A contender of 100 queries whose values average ``mean``, spread alike for all."""

    def make(name, mean, *, split="dev", noise=0.0, ranking="fused"):
        spread = np.linspace(-0.2, 0.2, 100)
        wobble = noise * np.where(np.arange(100) % 2, 1.0, -1.0)
        rows = tables.metric_rows(mean + spread + wobble, split=split, ranking=ranking)
        return Contender(name, ranking, rows)

    return make


@pytest.mark.parametrize(
    ("mean", "noise", "verdict"),
    [
        (0.52, 0.0, "accepted"),  # a gain
        (0.50, 0.0, "accepted"),  # a tie
        (0.49, 0.3, "accepted"),  # a small loss that may be chance
        (0.49, 0.0, "rejected"),  # the same loss on every query: significant
        (0.47, 0.9, "rejected"),  # may be chance, but exceeds the tolerated 0.02
    ],
)
def test_a_round_is_rejected_for_a_significant_or_a_large_loss(contender, mean, noise, verdict):
    decision = accept(contender("round 2", mean, noise=noise), contender("round 1", 0.5), seed=1)
    assert decision.verdict == verdict
    assert decision.accepted == (verdict == "accepted")
    assert not decision.promoted


@pytest.mark.parametrize(
    ("mean", "noise", "verdict"),
    [
        (0.52, 0.01, "promoted"),  # a clear gain
        (0.52, 0.11, "promoted"),  # p is 0.04 of no gain, and 0.08 of no difference
        (0.50, 0.0, "kept"),  # a tie
        (0.50, 0.3, "kept"),  # equal means
        (0.52, 0.3, "kept"),  # a gain that may be chance
        (0.40, 0.0, "kept"),  # a loss
    ],
)
def test_only_a_significant_gain_is_promoted(contender, mean, noise, verdict):
    challenger = contender("round 2", mean, split="gate", noise=noise)
    champion = contender("the first stage", 0.5, split="gate", ranking="first_stage")
    decision = promote(challenger, champion, seed=1)
    assert decision.verdict == verdict
    assert decision.promoted == (verdict == "promoted")


def test_the_reason_names_the_numbers_that_decided(contender):
    champion = contender("the first stage", 0.5, split="gate", ranking="first_stage")
    promoted = promote(contender("round 3", 0.52, split="gate"), champion, seed=1)
    assert promoted.reason == (
        "round 3: fused nDCG@10 on gate 0.520 against 0.500 of the first stage: +0.020"
        " [+0.020, +0.020] over 100 queries, p < 0.001 < 0.05: promoted"
    )
    kept = promote(contender("round 3", 0.5, split="gate"), champion, seed=1)
    assert kept.reason.endswith("p = 1.000 ≥ 0.05: the first stage stays champion")
    rejected = accept(contender("round 3", 0.4), contender("round 2", 0.5), seed=1)
    assert rejected.reason.endswith(
        "p(loss) < 0.001 < 0.05, loss above the tolerated 0.020: rejected"
    )


def test_the_rule_moves_the_bar(contender):
    challenger = contender("round 2", 0.47, noise=0.9)
    previous = contender("round 1", 0.5)
    assert not accept(challenger, previous, seed=1).accepted
    assert accept(challenger, previous, seed=1, rule=DecisionRule(tolerance=0.05)).accepted


def test_a_loss_of_just_what_is_tolerated_is_no_larger_by_rounding(tables):
    """Thirds of recall: two positives of 100 queries are lost in sum."""
    found = [np.append(thirds, np.zeros(95)) / 3 for thirds in ([2, 3, 2, 3, 3], [3, 1, 0, 1, 2])]
    before, now = (Contender("a round", "fused", tables.metric_rows(values)) for values in found)
    decision = accept(now, before, seed=1, rule=DecisionRule(tolerance=0.02))
    assert decision.difference < -0.02, "by rounding"
    assert decision.accepted
    assert "tolerated" not in decision.reason


def test_queries_are_paired_by_id_and_not_by_row(contender):
    champion = contender("round 1", 0.5, split="gate")
    rows = contender("round 2", 0.52, split="gate").per_query
    shuffled = rows.take(np.random.default_rng(0).permutation(len(rows)))
    decision = promote(Contender("round 2", "fused", shuffled), champion, seed=1)
    assert (decision.ci_low, decision.ci_high) == pytest.approx((0.02, 0.02))


def test_decisions_make_the_declared_table(contender):
    decision = accept(contender("round 2", 0.5), contender("round 1", 0.5), seed=1)
    table = decision_table([decision, decision])
    assert table.schema == DECISION
    assert table["verdict"].to_pylist() == ["accepted", "accepted"]
    assert decision_table([]).schema == DECISION


def test_what_cannot_be_decided_is_refused(contender):
    whole = contender("round 2", 0.5)
    half = Contender("round 1", "fused", whole.per_query.slice(0, 50))
    with pytest.raises(InputError, match=r"different queries \(100 and 50\)"):
        accept(whole, half, seed=1)
    with pytest.raises(InputError, match=r"different queries \(50 and 100\)"):
        accept(half, whole, seed=1)
    with pytest.raises(InputError, match="no value of nDCG@10 on gate"):
        promote(whole, whole, seed=1)
    with pytest.raises(InputError, match=r"alpha 1\.5"):
        DecisionRule(alpha=1.5)
    with pytest.raises(InputError, match="tolerance -1"):
        DecisionRule(tolerance=-1)


def test_one_query_is_said_in_the_singular(tables):
    one = [
        Contender("round 1", "fused", tables.metric_rows(np.array([value]), split="gate"))
        for value in (0.5, 0.4)
    ]
    assert " over 1 query, p = " in promote(*one, seed=1).reason
