"""Passages that say nearly the same as a positive: the overlap of their sets of words."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from strop.pipeline.arrays import Floats, Ints
from strop.pipeline.ragged import Ragged, offsets_from_lengths

BETWEEN_WORDS = r"[^\p{L}\p{N}\p{M}_]+"
WORDS_OF_ONE_LETTER = r"([\p{Han}\p{Hiragana}\p{Katakana}])"
"""Scripts without spaces whose letters say enough to count as words."""
BLOCK_WORDS = 2_000_000
"""Words of the rows that are compared at once."""


@dataclass(frozen=True)
class WordSets:
    """The words of distinct passages as numbers, and which passage each row shows."""

    sets: Ragged
    rows: Ints


def word_sets(corpus: Iterable[pa.Table], passage_ids: pa.Array) -> WordSets:
    """The set of words of every passage id, in lower case and without punctuation.

    The corpus is read in batches. Of the passages asked for, each distinct word is kept once, as
    its number in a vocabulary that grows from batch to batch.
    """
    asked = pc.unique(passage_ids)
    vocabulary = pa.array([""])  # separators at the ends of a text leave empty words: number 0
    ids: list[pa.Array] = []
    parts: list[Ragged] = []
    for batch in corpus:
        wanted = batch.filter(pc.is_in(batch["passage_id"], value_set=asked)).combine_chunks()
        for rows in wanted.to_batches():
            split = _words(pc.binary_join_element_wise(rows["title"], rows["text"], " "))
            words = split.flatten().dictionary_encode()
            vocabulary = _with_new_words(vocabulary, words.dictionary)
            numbers = pc.index_in(words.dictionary, value_set=vocabulary).to_numpy()
            owners = np.repeat(np.arange(len(rows)), pc.list_value_length(split).to_numpy())
            codes = numbers[words.indices.to_numpy()].astype(np.int64)
            parts.append(_distinct(owners[codes > 0], codes[codes > 0], len(rows)))
            ids.append(rows["passage_id"])
    places: Any = pc.index_in(passage_ids, value_set=pa.chunked_array(ids, pa.string()))
    return WordSets(_joined(parts), np.asarray(places.to_numpy(), np.int64))


_NONE = np.zeros(0, np.int64)


def _with_new_words(vocabulary: pa.Array, words: pa.Array) -> pa.Array:
    new = words.filter(pc.invert(pc.is_in(words, value_set=vocabulary)))
    return pa.concat_arrays([vocabulary, new])


def _joined(parts: Sequence[Ragged]) -> Ragged:
    """The rows of all parts, one after another."""
    lengths = np.concatenate([_NONE, *(part.lengths for part in parts)])
    return Ragged(
        np.concatenate([_NONE, *(part.flat for part in parts)]), offsets_from_lengths(lengths)
    )


def _words(texts: pa.Array) -> pa.ListArray:
    spaced = pc.replace_substring_regex(pc.utf8_lower(texts), WORDS_OF_ONE_LETTER, r" \1 ")
    split: pa.ListArray = pc.split_pattern_regex(spaced, BETWEEN_WORDS)
    return split


def _distinct(owners: Ints, words: Ints, count: int) -> Ragged:
    """The distinct words of each of ``count`` texts, in order."""
    width = int(words.max(initial=0)) + 1
    pairs = np.unique(owners * width + words)
    lengths = np.bincount(pairs // width, minlength=count)
    return Ragged(pairs % width, offsets_from_lengths(lengths))


def largest_overlap(words: WordSets, codes: Ints, positive: Any) -> Floats:
    """The largest share of words that each row has in common with a positive of its query.

    The share is Jaccard's: common words over all words of both. Rows are sorted by ``codes``; a
    positive itself has 0, and so has a row of a query without one. Blocks of whole queries are
    compared at once, so memory is bounded by `BLOCK_WORDS` or the largest query.
    """
    found = np.zeros(len(codes))
    lengths = words.sets.lengths[words.rows]
    for rows in _blocks(codes, lengths):
        found[rows] = _overlap(words, lengths[rows], codes[rows], positive[rows], words.rows[rows])
    return found


def nearly_repeats(words: WordSets, rows: Ints, positives: Ints, share: float) -> Any:
    """Which of some rows have this share of their words in common with a positive's row."""
    known = [set(words.sets.row(place).tolist()) for place in words.rows[positives].tolist()]
    found = (set(words.sets.row(place).tolist()) for place in words.rows[rows].tolist())
    return np.fromiter((_any_near(one, known, share) for one in found), bool, len(rows))


def _any_near(words: set[int], others: Sequence[set[int]], share: float) -> bool:
    """Few sets are compared sooner one by one than as the matrices that many make."""
    return any(
        common and common / (len(words) + len(other) - common) >= share
        for other in others
        for common in (len(words & other),)
    )


def _blocks(codes: Ints, lengths: Ints) -> Iterator[slice]:
    """Stretches of whole queries that hold at most `BLOCK_WORDS`, or one query."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    words = offsets_from_lengths(lengths)[starts]
    place = 0
    while place < len(starts) - 1:
        last = int(np.searchsorted(words, words[place] + BLOCK_WORDS, side="right")) - 1
        end = max(place + 1, last)
        yield slice(int(starts[place]), int(starts[end]))
        place = end


def _overlap(words: WordSets, lengths: Ints, codes: Ints, positive: Any, sets: Ints) -> Floats:
    """The largest shares of one block's rows."""
    within = np.arange(lengths.sum()) - np.repeat(offsets_from_lengths(lengths)[:-1], lengths)
    flat = words.sets.flat[np.repeat(words.sets.offsets[sets], lengths) + within]
    owners = np.repeat(np.arange(len(codes)), lengths)
    # A word is another one in another query, so one product compares within queries only.
    keys = (codes[owners] - codes[0]) * (int(words.sets.flat.max(initial=0)) + 1) + flat
    known, columns = np.unique(keys[positive[owners]], return_inverse=True)
    places = np.minimum(np.searchsorted(known, keys), max(len(known) - 1, 0))
    shared = known[places] == keys if len(known) else np.zeros(len(keys), bool)
    shared &= ~positive[owners]
    shape = (len(codes), len(known))
    rows = csr_array((np.ones(shared.sum(), np.int32), (owners[shared], places[shared])), shape)
    judged = owners[positive[owners]]
    positives = csr_array((np.ones(len(judged), np.int32), (judged, columns)), shape)
    common = (rows @ positives.T).tocoo()
    either = lengths[common.row] + lengths[common.col] - common.data
    found = np.zeros(len(codes))
    np.maximum.at(found, common.row, common.data / either)
    return found
