"""Ids and texts that were seen before, in 8 or 16 bytes each, so that memory does not hold them."""

from typing import Any

import numpy as np

Keys = np.ndarray[Any, np.dtype[np.int64]]
_BITS = 22
"""Last bits of a key by which many keys are seen to be in no table; 4 MB hold what is known."""
_LAST = np.int64((1 << _BITS) - 1)
_TITLE = np.int64(0x1E3779B97F4A7C15)
"""An odd number: a title as a text is not a text as a title."""


def keys(texts: list[str]) -> Keys:
    """A 64-bit key a text; equal ones have equal keys within this process.

    Two different texts share a key with a chance of one in 10^19: among a million texts, one in
    40 million that any two do.
    """
    return np.fromiter(map(hash, texts), np.int64, len(texts))


def passage_keys(titles: list[str], texts: list[str]) -> Keys:
    """A key for each title with its text."""
    return keys(titles) * _TITLE + keys(texts)


class KeyTable:
    """Keys, with a value each or without, in sorted runs whose sizes at least halve one by one."""

    def __init__(self) -> None:
        """Begin empty."""
        self._runs: list[tuple[Keys, Keys | None]] = []
        self._possible = np.zeros(1 << _BITS, bool)

    def __len__(self) -> int:
        """How many keys were added."""
        return sum(len(run) for run, _ in self._runs)

    def add(self, found: Keys, values: Keys | None = None) -> None:
        """Add distinct keys that are not in the table yet, all with values or all without."""
        if not len(found):
            return
        self._possible[found & _LAST] = True
        order = np.argsort(found)
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
        places = np.flatnonzero(self._possible[wanted & _LAST])
        order = places[np.argsort(wanted[places])]  # neighbours are looked up in the same memory
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
    ordered = np.sort(found)
    if not (ordered[1:] == ordered[:-1]).any():  # as nearly always, and much faster
        return np.arange(len(found))
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int64)
