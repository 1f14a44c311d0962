"""Where the pairs of a packed batch lie."""

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import torch


@dataclass(frozen=True)
class Spans:
    """``lengths`` of the pairs in tokens, and on a GPU ``edges``, the place of every pair's first
    token and the end of the last.
    """

    lengths: tuple[int, ...]
    edges: torch.Tensor | None = None

    @property
    def longest(self) -> int:
        """The tokens of the longest pair."""
        return max(self.lengths)

    @cached_property
    def runs(self) -> tuple[int, ...]:
        """How many pairs of one length stand next to each other, from the first pair on."""
        return tuple(len([*run]) for _, run in groupby(self.lengths))
