"""Passages that say nearly the same as a positive: the overlap of their sets of words."""

from collections.abc import Iterable, Iterator
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

    The corpus is read in batches, and only the passages asked for are kept, each once.
    """
    ids, lengths, words = [], [], []
    for batch in corpus:
        wanted = batch.filter(pc.is_in(batch["passage_id"], value_set=passage_ids))
        split = _words(pc.binary_join_element_wise(wanted["title"], wanted["text"], " "))
        ids += wanted["passage_id"].chunks
        lengths.append(pc.list_value_length(split).to_numpy())
        words += [chunk.flatten().dictionary_encode() for chunk in split.chunks]
    encoded = pa.chunked_array(words, pa.dictionary(pa.int32(), pa.string())).unify_dictionaries()
    owners = np.repeat(np.arange(sum(map(len, lengths))), np.concatenate([_NONE, *lengths]))
    codes = np.concatenate([_NONE, *(chunk.indices.to_numpy() for chunk in encoded.chunks)])
    # Separators at the ends of a text leave empty words.
    empty = encoded.chunk(0).dictionary.index("").as_py() if encoded.num_chunks else -1
    named = codes != empty
    rows: Any = pc.index_in(passage_ids, value_set=pa.chunked_array(ids, pa.string()))
    sets = _distinct(owners[named], codes[named].astype(np.int64), sum(map(len, lengths)))
    return WordSets(sets, np.asarray(rows.to_numpy(), np.int64))


_NONE = np.zeros(0, np.int64)


def _words(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    spaced = pc.replace_substring_regex(pc.utf8_lower(texts), WORDS_OF_ONE_LETTER, r" \1 ")
    split: pa.ChunkedArray = pc.split_pattern_regex(spaced, BETWEEN_WORDS)
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
