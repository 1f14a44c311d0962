"""Batches that a GPU's memory is too small for, computed in parts."""

from collections.abc import Callable

import torch

from strop.pipeline.arrays import Ints


def in_halves(
    compute: Callable[[Ints], torch.Tensor], rows: Ints, *, when_full: Callable[[Ints], None]
) -> torch.Tensor:
    """What ``compute`` makes of some rows, in their order: at once, or of half of them at a time.

    ``when_full`` is told each time which rows the memory was too small for; raises
    `torch.cuda.OutOfMemoryError` when it is for a single row.
    """
    try:
        return compute(rows)
    except torch.cuda.OutOfMemoryError:
        if len(rows) == 1:
            raise
    torch.cuda.empty_cache()
    when_full(rows)
    half = len(rows) // 2
    return torch.cat(
        [in_halves(compute, part, when_full=when_full) for part in (rows[:half], rows[half:])]
    )
