"""Ids and texts that were seen before, in 8 or 16 bytes each, so that memory does not hold them."""

from collections.abc import Iterable
from typing import Any

import numpy as np

Keys = np.ndarray[Any, np.dtype[np.int64]]


def keys(texts: Iterable[str | tuple[str, ...]], count: int = -1) -> Keys:
    """A 64-bit key a text, or a tuple of texts; equal ones have equal keys within this process.

    Two different texts share a key with a chance of one in 10^19: among a million texts, one in
    40 million that any two do.
    """
    return np.fromiter(map(hash, texts), np.int64, count)


class KeyTable:
    """Keys, with a value each or without, in sorted runs whose sizes at least halve one by one."""

    def __init__(self) -> None:
        """Begin empty."""
        self._runs: list[tuple[Keys, Keys | None]] = []

    def __len__(self) -> int:
        """How many keys were added."""
        return sum(len(run) for run, _ in self._runs)

    def add(self, found: Keys, values: Keys | None = None) -> None:
        """Add distinct keys that are not in the table yet, all with values or all without."""
        if not len(found):
            return
        order = np.argsort(found, kind="stable")
        run = found[order], None if values is None else values[order]
        while self._runs and len(self._runs[-1][0]) < 2 * len(run[0]):
            run = _merged(self._runs.pop(), run)
        self._runs.append(run)

    def add_new(self, found: Keys) -> None:
        """Add those of some keys, which may repeat, that are not in the table yet."""
        distinct = np.unique(found)
        new = distinct[~self.find(distinct)[0]]
        self.add(new)

    def find(self, wanted: Keys) -> tuple[Any, Keys]:
        """Which keys are in the table, and their values (0 where they are not)."""
        known = np.zeros(len(wanted), bool)
        values = np.zeros(len(wanted), np.int64)
        order = np.argsort(wanted)  # in order, neighbours are looked up in the same memory
        ordered = wanted[order]
        for run, run_values in self._runs:
            places = np.minimum(np.searchsorted(run, ordered), len(run) - 1)
            here = np.flatnonzero(run[places] == ordered)
            known[order[here]] = True
            if run_values is not None:
                values[order[here]] = run_values[places[here]]
        return known, values


def _merged(
    first: tuple[Keys, Keys | None], second: tuple[Keys, Keys | None]
) -> tuple[Keys, Keys | None]:
    places = np.searchsorted(first[0], second[0])
    both = None
    if first[1] is not None and second[1] is not None:
        both = np.insert(first[1], places, second[1])
    return np.insert(first[0], places, second[0]), both


def first_places(found: Keys) -> Keys:
    """For every key the place where it stands first."""
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int64)


def key_set(texts: Iterable[list[str]]) -> Keys:
    """The sorted distinct keys of batches of texts."""
    parts = [keys(batch) for batch in texts]
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.int64)
