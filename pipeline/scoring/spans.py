"""Where the pairs of a packed batch lie."""

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
import torch


@dataclass(frozen=True)
class Spans:
    """``lengths`` of the pairs in tokens, and on a GPU ``edges``, the place of every pair's first
    token and the end of the last.
    """

    lengths: tuple[int, ...]
    edges: torch.Tensor | None = None

    @cached_property
    def longest(self) -> int:
        """The tokens of the longest pair."""
        return max(self.lengths)

    @cached_property
    def starts(self) -> torch.Tensor:
        """The place of every pair's first token."""
        if self.edges is not None:
            return self.edges[:-1]
        return torch.from_numpy(np.cumsum([0, *self.lengths[:-1]]))

    @cached_property
    def first_tokens(self) -> "Spans":
        """Where first tokens lie that stand one behind the other."""
        count, edges = len(self.lengths), None
        if self.edges is not None:
            edges = torch.arange(count + 1, dtype=torch.int32, device=self.edges.device)
        return Spans((1,) * count, edges)

    @cached_property
    def runs(self) -> tuple[int, ...]:
        """How many pairs of one length stand next to each other, from the first pair on."""
        return tuple(len([*run]) for _, run in groupby(self.lengths))
