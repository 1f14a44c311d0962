import numpy as np
import pytest

from strop.pipeline.evaluation.decision import Contender, promote
from strop.pipeline.evaluation.guard_sets import GuardRule, guard, guarded


def contender(tables, name, values, split="test", ranking="fused"):
    return Contender(name, ranking, tables.metric_rows(values, split=split, ranking=ranking))


def decided(tables, differences, *, tolerance=0.02, alpha=0.05):
    base = np.full(len(differences), 0.5)
    return guard(
        contender(tables, "round 2", base + differences),
        contender(tables, "the first stage", base, ranking="first_stage"),
        GuardRule("legal", "test", tolerance, alpha=alpha),
        seed=1,
        samples=2_000,
    )


def wobbling(mean, noise, count=100):
    return mean + noise * np.where(np.arange(count) % 2, 1.0, -1.0)


@pytest.mark.parametrize(
    ("mean", "noise", "count", "verdict"),
    [
        (0.0, 0.0, 100, "held"),  # nothing changed
        (-0.02, 0.0, 100, "held"),  # every query loses just what is tolerated
        (-0.03, 0.0, 100, "broken"),
        (0.0, 0.1, 100, "held"),  # 0 - 1.645 · 0.1 / 10 = -0.016
        (-0.01, 0.1, 100, "broken"),  # the loss is tolerated, but -0.026 cannot be ruled out
        (-0.01, 0.1, 1000, "held"),  # with more queries it can: -0.015
        (0.0, 0.1, 20, "broken"),  # few queries rule out nothing
    ],
)
def test_a_set_holds_where_the_data_rule_out_a_larger_loss(tables, mean, noise, count, verdict):
    found = decided(tables, wobbling(mean, noise, count))
    assert found.verdict == verdict
    assert found.ci_low == pytest.approx(mean - 1.645 * noise / np.sqrt(count), abs=0.004)
    assert (found.p_value <= 0.05) == (verdict == "held")


def test_a_reason_names_the_set_the_bound_and_by_how_much_it_fails(tables):
    assert decided(tables, wobbling(-0.071, 0.0)).reason == (
        "round 2: fused nDCG@10 on guard set legal (test) 0.429 against 0.500 of the first stage:"
        " -0.071, at worst -0.071 (one-sided 95% bound) over 100 queries, 0.051 below the tolerated"
        " -0.020: broken"
    )
    assert decided(tables, wobbling(0.01, 0.0)).reason.endswith(
        "over 100 queries, not below the tolerated -0.020: held"
    )


def test_queries_are_paired_by_id(tables):
    base = np.linspace(0.1, 0.9, 40)
    ours = contender(tables, "round 2", base)
    shuffled = ours.per_query.take(np.random.default_rng(0).permutation(40))
    rule = GuardRule("legal", "test", 0.0)
    found = guard(ours, Contender("old", "fused", shuffled), rule, seed=1, samples=200)
    assert (found.ci_low, found.verdict) == (0.0, "held")


def test_a_gain_on_the_gate_is_promoted_only_where_all_sets_hold(tables):
    base = np.full(100, 0.5)
    gate = promote(
        contender(tables, "round 2", base + 0.05, "gate"),
        contender(tables, "the first stage", base, "gate", "first_stage"),
        seed=1,
    )
    good, bad = decided(tables, wobbling(0.0, 0.0)), decided(tables, wobbling(-0.071, 0.0))
    passed = guarded(gate, [good, good])
    assert passed.promoted
    assert passed.reason == (
        gate.reason.removesuffix(": promoted")
        + 2
        * "; guard set legal held with +0.000, at worst +0.000 (one-sided 95% bound) over 100"
        " queries, not below the tolerated -0.020" + ": promoted"
    )
    kept = guarded(gate, [good, bad])
    assert kept.verdict == "kept"
    assert kept.difference == gate.difference
    assert kept.reason.endswith(
        "p < 0.001 < 0.05, but guard set legal broken with -0.071, at worst -0.071 (one-sided 95%"
        " bound) over 100 queries, 0.051 below the tolerated -0.020: the first stage stays champion"
    )
