"""The decision on every row of a window, and the rule behind it."""

from typing import Any

import numpy as np


class Labels:
    """Decision, rule, sampler and weight of every row; the first decision on a row stands."""

    def __init__(self, count: int) -> None:
        """Leave ``count`` rows open."""
        self.decision = np.full(count, "", dtype=object)
        self.rule = np.full(count, "", dtype=object)
        self.sampler = np.full(count, "", dtype=object)
        self.weight = np.ones(count, np.float32)

    @property
    def open(self) -> Any:
        """Which rows nothing was decided on yet."""
        return self.decision == ""

    def set(self, rows: Any, decision: str, rule: str) -> None:
        """Decide on the rows that are still open."""
        chosen = rows & self.open
        self.decision[chosen] = decision
        self.rule[chosen] = rule

    def sample(self, rows: Any, samplers: list[str]) -> None:
        """Make negatives of some rows (their numbers), by the samplers named.

        A suspect that is sampled all the same keeps the rule that made it one.
        """
        self.decision[rows] = "negative"
        self.rule[rows] = np.where(self.rule[rows] == "", "sampled", self.rule[rows])
        self.sampler[rows] = samplers
