"""Passages that say nearly the same as a positive, found by the sketches of a corpus."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.arrays import Ints
from strop.pipeline.data.keys import keys
from strop.pipeline.data.like_queries import BETWEEN_WORDS, NEAR, WORDS_OF_ONE_LETTER
from strop.pipeline.data.passage_sketches import BANDS, Keys, Sketches, band_keys
from strop.pipeline.data.sketched_corpus import SketchedCorpus

MOST_POSITIVES = 100_000
"""Distinct positives that are compared; their sketches are in memory."""
MOST_MET = 20
"""Positives that a passage is compared with because of one band."""
MOST_LIKE = 5
"""Passages that are told of each positive."""
ALIKE = 0.5
"""Share of equal values in two sketches from which the texts themselves are compared."""
AT_ONCE = 8192
"""Passages whose sketches, and pairs whose texts, are compared at once."""
KEY_BITS = 16
"""First bits of a key by which most passages are seen to meet no positive."""
_SHIFT = np.uint64(64 - KEY_BITS)

ReadRows = Callable[[Ints], pa.Table]
"""Reads passages by their rows, which ascend."""


def like_passages(
    sketched: SketchedCorpus, read_rows: ReadRows, positive_ids: list[str]
) -> dict[str, list[tuple[str, float]]]:
    """Passages like each of some positives, each with the share of words in common.

    Near are passages whose sets of words have `NEAR` in common (Jaccard's share), but not those
    whose title and text are the positive's own. Pairs are found by sketches, which miss a few, and
    only their texts are read. Memory is that of the positives' sketches and of one batch of pairs.
    """
    positives, their_sketches = sketched.find(keys(positive_ids), AT_ONCE)
    found: dict[str, list[tuple[str, float]]] = {}
    if not len(positives):
        return found
    bands, waiting = Bands(their_sketches), [np.zeros((0, 2), np.int64)]
    for first, _, batch in sketched.batches(AT_ONCE):
        rows, places = bands.alike(batch)
        pairs = np.stack([first + rows, positives[places]], axis=1)
        waiting.append(pairs[pairs[:, 0] != pairs[:, 1]])
        if sum(map(len, waiting)) >= AT_ONCE:
            _compare(np.concatenate(waiting), read_rows, found)
            waiting = waiting[:1]
    _compare(np.concatenate(waiting), read_rows, found)
    return found


def _compare(pairs: Ints, read_rows: ReadRows, found: dict[str, list[tuple[str, float]]]) -> None:
    """Hold the words of passages and positives against each other, pairs of rows."""
    rows = np.unique(pairs)
    if not len(rows):
        return
    texts = _read(read_rows(rows))
    for passage, positive in np.searchsorted(rows, pairs).tolist():
        passage_id, text, words = texts[passage]
        positive_id, same, others = texts[positive]
        known = found.setdefault(positive_id, [])
        share = len(words & others) / max(len(words | others), 1)
        if text != same and share >= NEAR and len(known) < MOST_LIKE:
            known.append((passage_id, share))


@dataclass
class Bands:
    """Sketches of positives, by each band's keys."""

    sketches: Sketches
    _keys: Keys = field(init=False)
    _orders: Ints = field(init=False)
    _possible: Any = field(init=False)
    """By band and first bits of a key, whether any positive has such a key."""

    def __post_init__(self) -> None:
        """Sort the positives by each band's keys."""
        keys = band_keys(self.sketches)
        self._orders = np.argsort(keys, axis=0, kind="stable")
        self._keys = np.asfortranarray(np.take_along_axis(keys, self._orders, axis=0))
        self._possible = np.zeros((BANDS, 1 << KEY_BITS), bool)
        self._possible[np.arange(BANDS), keys >> _SHIFT] = True

    def alike(self, batch: Sketches) -> tuple[Ints, Ints]:
        """Rows of the batch and of the positives that are probably alike, each pair once."""
        rows, places = self._met(band_keys(batch))
        alike = (batch[rows] == self.sketches[places]).mean(axis=1) >= ALIKE
        return rows[alike], places[alike]

    def _met(self, keys: Keys) -> tuple[Ints, Ints]:
        """Rows of the batch and of the positives that agree in a band, each pair once."""
        pairs = [np.zeros(0, np.int64)]
        for band in range(BANDS):
            known = self._keys[:, band]
            possible = np.flatnonzero(self._possible[band, keys[:, band] >> _SHIFT])
            first = np.searchsorted(known, keys[possible, band])
            here = known[np.minimum(first, len(known) - 1)] == keys[possible, band]
            rows, first = possible[here], first[here]
            last = np.searchsorted(known, keys[rows, band], side="right")
            counts = np.minimum(last - first, MOST_MET)
            owners = np.repeat(rows, counts)
            within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
            places = self._orders[np.repeat(first, counts) + within, band]
            pairs.append(owners * len(known) + places)
        distinct = np.unique(np.concatenate(pairs))
        return distinct // len(self._keys), distinct % len(self._keys)


def _read(passages: pa.Table) -> list[tuple[str, Any, set[str]]]:
    """Id, title with text, and the set of words of each passage."""
    ids, titles, texts = (passages[name].to_pylist() for name in ("passage_id", "title", "text"))
    joined = pa.array([f"{title} {text}" for title, text in zip(titles, texts, strict=True)])
    spaced = pc.replace_substring_regex(pc.utf8_lower(joined), WORDS_OF_ONE_LETTER, r" \1 ")
    words = pc.split_pattern_regex(spaced, BETWEEN_WORDS).to_pylist()
    sets = [set(found) - {""} for found in words]
    return list(zip(ids, zip(titles, texts, strict=True), sets, strict=True))
