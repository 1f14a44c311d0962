"""Batches of pairs by a budget of tokens, in order of length, where they cost least."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from strop.pipeline.arrays import Ints

CPU_BATCH_TOKENS = 2048
"""Places of tokens in a CPU's batch at most: what a layer makes of more leaves the cache."""
CPU_BATCH_COST = 100
"""What a batch costs a CPU besides its places, in tokens."""


@dataclass(frozen=True)
class Batching:
    """Places that a batch holds at most, what each batch costs besides, in tokens, and whether
    it is padded to its longest pair.
    """

    budget: int
    cost: int
    padded: bool = True

    @classmethod
    def on(cls, device: torch.device, budget: int, *, padded: bool = True) -> "Batching":
        """As it suits a device: a GPU wants full batches, and none of them is cut for padding."""
        if device.type == "cpu":
            return cls(min(budget, CPU_BATCH_TOKENS), CPU_BATCH_COST, padded)
        return cls(budget, budget, padded)

    def places(self, lengths: Ints) -> int:
        """The places of a batch of pairs with so many tokens."""
        return int(lengths.max()) * len(lengths) if self.padded else int(lengths.sum())

    def halved(self, lengths: Ints, least: int) -> "Batching":
        """The same with half the places of a batch that did not fit, but no less than ``least``.

        Batches of one size that do not fit, one after another, lower the budget once.
        """
        return replace(self, budget=min(self.budget, max(least, self.places(lengths) // 2)))


def token_budget_batches(lengths: Ints, batching: Batching) -> Iterator[Ints]:
    """Positions of pairs, longest first, in batches whose size keeps within the budget.

    Of all cuts of the sorted pairs, those with the least places and costs of batches; without
    padding, full batches. A pair that
    is longer than the budget makes a batch of its own. Longest first, so that a device that is too
    small fails at once.
    """
    order = np.argsort(-lengths, kind="stable")
    sizes = np.maximum(lengths[order], 1)
    cuts = _cheapest_cuts(sizes, batching) if batching.padded else full_cuts(sizes, batching.budget)
    for start, end in pairwise(cuts):
        yield order[start:end]


def _cheapest_cuts(lengths: Ints, batching: Batching) -> list[int]:
    """Where batches of descending lengths begin, and the end of the last."""
    count = len(lengths)
    spent = np.full(count + 1, np.inf)
    before = np.zeros(count + 1, np.int64)
    spent[0] = 0.0
    for start, longest in enumerate(lengths.tolist()):
        size = min(max(1, batching.budget // longest), count - start)
        costs = spent[start] + batching.cost + longest * np.arange(1, size + 1)
        reached = slice(start + 1, start + size + 1)
        cheaper = costs < spent[reached]
        spent[reached][cheaper] = costs[cheaper]
        before[reached][cheaper] = start
    cuts = [count]
    while cuts[-1]:
        cuts.append(int(before[cuts[-1]]))
    return cuts[::-1]


def full_cuts(lengths: Ints, budget: int) -> list[int]:
    """Where runs within a budget begin, each as long as can be or of one length, and the end."""
    cuts, held = [0], 0
    for place, length in enumerate(lengths.tolist()):
        if held and held + length > budget:
            cuts.append(place)
            held = 0
        held += length
    return [*cuts, len(lengths)] if len(lengths) else cuts
