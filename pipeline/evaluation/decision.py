"""Decisions: whether a round may mine the next one, and whether it becomes the champion."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from strop.artifacts.schemas import DECISION
from strop.pipeline.errors import InputError, counted
from strop.pipeline.evaluation.results import compare, metric_values
from strop.pipeline.evaluation.significance import Comparison

SLACK = 1e-12
"""What rounding may take from a mean."""
RANKING_TITLES = {"first_stage": "first-stage", "reranker": "reranker's", "fused": "fused"}


@dataclass(frozen=True)
class DecisionRule:
    """What counts as a gain or a loss.

    ``metric`` is a name in the metrics tables; ``alpha`` bounds the one-sided p-value;
    ``tolerance`` is the loss of the metric (absolute) that no p-value excuses; with ``approval`` a
    person promotes.
    """

    metric: str = "nDCG@10"
    alpha: float = 0.05
    tolerance: float = 0.02
    samples: int = 10_000
    approval: bool = False

    def __post_init__(self) -> None:
        """Refuse a rule that could not decide."""
        if not 0 < self.alpha < 1:
            raise InputError(f"decision alpha {self.alpha} is not between 0 and 1")
        if self.tolerance < 0:
            raise InputError(f"decision tolerance {self.tolerance} is negative")


@dataclass(frozen=True)
class Contender:
    """One side of a decision.

    ``name`` is what a reason calls it ("round 2", "the first stage"), ``ranking`` which of its
    rankings counts, ``per_query`` a ``metrics.per_query`` table that holds it.
    """

    name: str
    ranking: str
    per_query: pa.Table


@dataclass(frozen=True)
class Decision:
    """A ``decision`` row: the verdict, the numbers that decided and a sentence that says so.

    ``p_value`` is the one-sided one that decided: of a loss for an acceptance, of a gain for a
    promotion. A guard set's row (`strop.pipeline.evaluation.guard_sets`) has the bound that decided
    as ``ci_low``.
    """

    subject: str
    split: str
    metric: str
    challenger: str
    opponent: str
    challenger_value: float
    opponent_value: float
    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    n: int
    verdict: str
    reason: str

    @property
    def accepted(self) -> bool:
        """Whether the challenger may mine the next round."""
        return self.verdict == "accepted"

    @property
    def promoted(self) -> bool:
        """Whether the challenger becomes the champion."""
        return self.verdict == "promoted"


def accept(
    challenger: Contender,
    previous: Contender,
    *,
    split: str = "dev",
    seed: int,
    rule: DecisionRule | None = None,
) -> Decision:
    """Whether the challenger is not inferior to the last accepted round.

    It is rejected when its loss is significant or exceeds the tolerance, and accepted otherwise.
    """
    rule = rule or DecisionRule()
    result = _compare(challenger, previous, split=split, seed=seed, rule=rule)
    significant = result.difference < 0 and result.p_loss < rule.alpha
    too_large = result.difference < -rule.tolerance - SLACK
    verdict = "rejected" if significant or too_large else "accepted"
    evidence = _p_text("p(loss)", result.p_loss, rule.alpha)
    if too_large:
        evidence += f", loss above the tolerated {rule.tolerance:.3f}"
    return _decision("acceptance", (challenger, previous), split, rule, result, verdict, evidence)


def promote(
    challenger: Contender,
    champion: Contender,
    *,
    split: str = "gate",
    seed: int,
    rule: DecisionRule | None = None,
) -> Decision:
    """Whether the challenger beats the champion significantly; a tie keeps the champion.

    With the rule's ``approval`` one that won is not promoted yet, but awaits a person's word.
    """
    rule = rule or DecisionRule()
    result = _compare(challenger, champion, split=split, seed=seed, rule=rule)
    better = result.difference > 0 and result.p_gain < rule.alpha
    won = "awaiting" if rule.approval else "promoted"
    verdict = won if better else "kept"
    evidence = _p_text("p", result.p_gain, rule.alpha)
    return _decision("promotion", (challenger, champion), split, rule, result, verdict, evidence)


def decision_table(decisions: Sequence[Decision]) -> pa.Table:
    """The ``decision`` table of some decisions, in their order."""
    return pa.Table.from_pylist([asdict(decision) for decision in decisions], schema=DECISION)


def _compare(
    challenger: Contender, opponent: Contender, *, split: str, seed: int, rule: DecisionRule
) -> Comparison:
    sides = [
        metric_values(side.per_query, split=split, ranking=side.ranking, metric=rule.metric)
        for side in (challenger, opponent)
    ]
    return compare(sides[0], sides[1], seed=seed, samples=rule.samples)


def _decision(
    subject: str,
    sides: tuple[Contender, Contender],
    split: str,
    rule: DecisionRule,
    result: Comparison,
    verdict: str,
    evidence: str,
) -> Decision:
    challenger, opponent = sides
    outcome = {
        "kept": f"{opponent.name} stays champion",
        "awaiting": f"awaits approval, {opponent.name} stays champion until then",
    }.get(verdict, verdict)
    reason = (
        f"{challenger.name}: {RANKING_TITLES[challenger.ranking]} {rule.metric} on {split}"
        f" {result.challenger_value:.3f} against {result.opponent_value:.3f} of {opponent.name}:"
        f" {result.difference:+.3f} [{result.ci_low:+.3f}, {result.ci_high:+.3f}]"
        f" over {counted(result.n, 'queries')}, {evidence}: {outcome}"
    )
    return Decision(
        subject=subject,
        split=split,
        metric=rule.metric,
        challenger=challenger.name,
        opponent=opponent.name,
        challenger_value=result.challenger_value,
        opponent_value=result.opponent_value,
        difference=result.difference,
        ci_low=result.ci_low,
        ci_high=result.ci_high,
        p_value=result.p_loss if subject == "acceptance" else result.p_gain,
        n=result.n,
        verdict=verdict,
        reason=reason,
    )


def _p_text(symbol: str, p_value: float, alpha: float) -> str:
    relation = "<" if p_value < alpha else "≥"
    shown = f"{symbol} < 0.001" if p_value < 0.001 else f"{symbol} = {p_value:.3f}"
    return f"{shown} {relation} {alpha:g}"
