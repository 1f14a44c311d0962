"""Feedback on the group size: too many negatives make a reranker over-conservative."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from strop.pipeline.config import Mining
from strop.pipeline.evaluation.alarms import AlarmLimits, only_apart

SHRINKAGE = 0.75
"""What is left of the mean group size after a round that became over-conservative."""


@dataclass(frozen=True)
class Evidence:
    """How a round ranked dev, and how far its scores stand apart, beside the round before it.

    ``gap`` is the distance of the positives' and negatives' mean scores in pooled standard
    deviations.
    """

    round: int
    metric_before: float
    metric_after: float
    gap_before: float
    gap_after: float

    @property
    def over_conservative(self) -> bool:
        """Whether dev is hardly ranked better although scores stand further apart.

        The limits are the alarm's, so that what it names as a remedy does act.
        """
        gain, growth = self.metric_after - self.metric_before, self.gap_after - self.gap_before
        return only_apart(gain=gain, growth=growth, limits=AlarmLimits())


@dataclass(frozen=True)
class GroupSize:
    """The mean members of a round's groups, and the evidence that shrank it."""

    mean: int
    evidence: tuple[Evidence, ...] = ()

    def parameters(self) -> dict[str, Any]:
        """The values as JSON."""
        seen = [asdict(item) for item in self.evidence]
        return {"group_size": self.mean, **({"feedback": seen} if seen else {})}


def fed_back(config: Mining, evidence: Sequence[Evidence]) -> GroupSize:
    """The mean group size after these rounds, within the config's bounds."""
    found = tuple(item for item in evidence if item.over_conservative) if config.feedback else ()
    low = config.group_size_min or 2
    mean = max(low, round(config.group_size * SHRINKAGE ** len(found)))
    return GroupSize(mean, found)
