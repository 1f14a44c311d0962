"""Batches of pairs by a budget of padded tokens, in order of length."""

from collections.abc import Iterator

import numpy as np
import torch

from strop.pipeline.ragged import Ints

CPU_BATCH_TOKENS = 2048
"""Padded tokens in a CPU's batch at most: what a layer makes of more leaves the cache."""


def device_budget(budget: int, device: torch.device) -> int:
    """The padded tokens in one batch on a device."""
    return min(budget, CPU_BATCH_TOKENS) if device.type == "cpu" else budget


def token_budget_batches(lengths: Ints, budget: int) -> Iterator[Ints]:
    """Positions of pairs, longest first, in batches whose padded size keeps within the budget.

    A pair that is longer than the budget makes a batch of its own. Longest first, so that a
    device that is too small fails at once.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size
