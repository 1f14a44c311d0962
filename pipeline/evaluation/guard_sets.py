"""Guard sets: whether a challenger loses no more than is tolerated on queries it must not break."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from strop.pipeline.errors import counted
from strop.pipeline.evaluation.decision import RANKING_TITLES, SLACK, Contender, Decision
from strop.pipeline.evaluation.results import metric_values, values_beside
from strop.pipeline.evaluation.significance import bootstrap_means, cluster_codes
from strop.pipeline.seeds import generator


@dataclass(frozen=True)
class GuardRule:
    """One guard set's split of queries, and the loss of ``metric`` on it that is tolerated."""

    name: str
    split: str
    tolerance: float
    metric: str = "nDCG@10"
    alpha: float = 0.05


def guard(
    challenger: Contender, champion: Contender, rule: GuardRule, *, seed: int, samples: int
) -> Decision:
    """Whether the data rule out a loss above the tolerated one: the set is ``held`` or ``broken``.

    A test of non-inferiority: the lower bound of the one-sided interval at ``alpha`` of the mean
    paired difference (percentile bootstrap over whole clusters) must not be below -tolerance. A set
    of few queries has a low bound and so refuses, unlike a test that must show a loss, which would
    let the most through where least is known. ``ci_low`` is that bound and ``ci_high`` its
    counterpart above; ``p_value`` is the share of resamples that lose more than is tolerated.
    """
    ours, theirs = (
        metric_values(side.per_query, split=rule.split, ranking=side.ranking, metric=rule.metric)
        for side in (challenger, champion)
    )
    differences = ours.values - values_beside(ours, theirs)
    means = bootstrap_means(
        differences,
        cluster_codes(ours.group_ids),
        rng=generator(seed, "guard set"),
        samples=samples,
    )
    low, high = (float(value) for value in np.quantile(means, [rule.alpha, 1 - rule.alpha]))
    held = low >= -rule.tolerance - SLACK
    worse = int((means < -rule.tolerance - SLACK).sum())
    values = float(ours.values.mean()), float(theirs.values.mean())
    relation = "not below" if held else f"{-rule.tolerance - low:.3f} below"
    verdict = "held" if held else "broken"
    reason = (
        f"{challenger.name}: {RANKING_TITLES[challenger.ranking]} {rule.metric} on guard set "
        f"{rule.name} ({rule.split}) {values[0]:.3f} against {values[1]:.3f} of {champion.name}: "
        f"{values[0] - values[1]:+.3f}, at worst {low:+.3f} (one-sided {1 - rule.alpha:.0%} bound) "
        f"over {counted(len(differences), 'queries')}, {relation} the tolerated "
        f"{0 - rule.tolerance:+.3f}: {verdict}"
    )
    return Decision(
        subject=f"guard set {rule.name}",
        split=rule.split,
        metric=rule.metric,
        challenger=challenger.name,
        opponent=champion.name,
        challenger_value=values[0],
        opponent_value=values[1],
        difference=values[0] - values[1],
        ci_low=low,
        ci_high=high,
        p_value=(worse + 1) / (samples + 1),
        n=len(differences),
        verdict=verdict,
        reason=reason,
    )


def guarded(gate: Decision, guards: Sequence[Decision]) -> Decision:
    """The promotion that won the gate, kept back where a guard set is broken.

    Every set must hold, each at its level: the chance that any of them lets a larger loss pass is
    that of the one alone, so that several sets need no correction (an intersection-union test,
    Berger, Technometrics 1982).
    """
    won, _, ending = gate.reason.rpartition(": ")
    broken = [row for row in guards if row.verdict == "broken"]
    told = "; ".join(_short(row) for row in (broken or guards))
    if not broken:
        return replace(gate, reason=f"{won}; {told}: {ending}")
    reason = f"{won}, but {told}: {gate.opponent} stays champion"
    return replace(gate, verdict="kept", reason=reason)


def _short(row: Decision) -> str:
    """A guard set's sentence without what the gate's has told."""
    numbers = row.reason.partition(" of " + row.opponent + ": ")[2].rpartition(": ")[0]
    return f"{row.subject} {row.verdict} with {numbers}"
