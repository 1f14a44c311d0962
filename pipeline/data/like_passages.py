"""Passages that say nearly the same as a positive, found in a corpus that is read in batches."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.arrays import Ints
from strop.pipeline.data.like_queries import BETWEEN_WORDS, NEAR, WORDS_OF_ONE_LETTER
from strop.pipeline.data.passage_sketches import BANDS, Keys, Sketches, band_keys, sketches

MOST_POSITIVES = 100_000
"""Distinct positives that are compared; their texts and sketches are in memory."""
MOST_MET = 20
"""Positives that a passage is compared with because of one band."""
MOST_LIKE = 5
"""Passages that are told of each positive."""
ALIKE = 0.5
"""Share of equal values in two sketches from which the texts themselves are compared."""
AT_ONCE = 1024
"""Passages that are sketched at once: few enough for the processor's cache."""
KEY_BITS = 16
"""First bits of a key by which most passages are seen to meet no positive."""
_SHIFT = np.uint64(64 - KEY_BITS)

ReadCorpus = Callable[[], Iterable[pa.Table]]


@dataclass
class LikePassages:
    """By positive, the passages whose words are nearly its own, each with the share in common.

    Passages whose title and text are the positive's own are left out. Memory is that of the
    positives and one batch of the corpus.
    """

    positives: pa.Table
    found: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    _sketches: Sketches = field(init=False)
    _keys: Keys = field(init=False)
    _orders: Ints = field(init=False)
    _possible: Any = field(init=False)
    """By band and first bits of a key, whether any positive has such a key."""

    def __post_init__(self) -> None:
        """Sketch the positives, and sort them by each band's keys."""
        self._sketches = _sketched(self.positives)
        keys = band_keys(self._sketches)
        self._orders = np.argsort(keys, axis=0, kind="stable")
        self._keys = np.asfortranarray(np.take_along_axis(keys, self._orders, axis=0))
        self._possible = np.zeros((BANDS, 1 << KEY_BITS), bool)
        self._possible[np.arange(BANDS), keys >> _SHIFT] = True

    def compare(self, corpus: pa.Table) -> None:
        """Hold some passages against the positives."""
        own = _sketched(corpus)
        rows, places = self._met(band_keys(own))
        alike = (own[rows] == self._sketches[places]).mean(axis=1) >= ALIKE
        rows, places = rows[alike], places[alike]
        if not len(rows):
            return
        passages, positives = corpus.take(rows), self.positives.take(places)
        pairs = zip(_read(passages), _read(positives), strict=True)
        for (passage, text, words), (positive, same, others) in pairs:
            known = self.found.setdefault(positive, [])
            share = len(words & others) / max(len(words | others), 1)
            if text != same and share >= NEAR and len(known) < MOST_LIKE:
                known.append((passage, share))

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


def like_passages(
    read_corpus: ReadCorpus, positive_ids: list[str]
) -> dict[str, list[tuple[str, float]]]:
    """Passages like each of some positives; the corpus is read twice.

    Near are passages whose sets of words have `NEAR` in common (Jaccard's share). Pairs are found
    by sketches, which miss a few.
    """
    wanted = pa.array(positive_ids, pa.string())
    chosen = [batch.filter(pc.is_in(batch["passage_id"], wanted)) for batch in read_corpus()]
    positives = pa.concat_tables(chosen) if chosen else None
    if not positives:
        return {}
    found = LikePassages(positives.combine_chunks())
    for batch in read_corpus():
        found.compare(batch)
    return found.found


def _sketched(corpus: pa.Table) -> Sketches:
    parts = [
        sketches(rows["title"], rows["text"])
        for rows in corpus.select(["title", "text"]).to_batches(max_chunksize=AT_ONCE)
    ]
    return np.concatenate(parts)


def _read(passages: pa.Table) -> list[tuple[str, Any, set[str]]]:
    """Id, title with text, and the set of words of each passage."""
    ids, titles, texts = (passages[name].to_pylist() for name in ("passage_id", "title", "text"))
    joined = pa.array([f"{title} {text}" for title, text in zip(titles, texts, strict=True)])
    spaced = pc.replace_substring_regex(pc.utf8_lower(joined), WORDS_OF_ONE_LETTER, r" \1 ")
    words = pc.split_pattern_regex(spaced, BETWEEN_WORDS).to_pylist()
    sets = [set(found) - {""} for found in words]
    return list(zip(ids, zip(titles, texts, strict=True), sets, strict=True))
