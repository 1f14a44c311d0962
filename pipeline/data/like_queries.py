"""Queries that say the same or nearly the same: by the sets of their words."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from strop.pipeline.arrays import Ints
from strop.pipeline.ragged import offsets_from_lengths

NEAR = 0.85
"""Jaccard's share of common words from which two queries are nearly the same: one word more in a
query of six, or one other word in a query of thirteen."""
BETWEEN_WORDS = r"[^\p{L}\p{N}\p{M}_]+"
WORDS_OF_ONE_LETTER = r"([\p{Han}\p{Hiragana}\p{Katakana}])"
MOST_PAIRS = 1 << 20
"""Pairs of queries that are compared at once."""


def like_groups(texts: list[str]) -> Ints:
    """A number for every query; two that are nearly the same have the same number.

    Words are compared in lower case, without punctuation, order or repetition. Near is transitive
    here: a chain of near duplicates is one group. Pairs are found by prefix filtering (Bayardo,
    Ma, Srikant 2007), so that none is missed and few others are compared.
    """
    if not texts:
        return np.zeros(0, np.int64)
    words = _word_matrix(texts)
    _, first, same = np.unique(_signatures(words), return_index=True, return_inverse=True)
    distinct = words[first]
    rows, columns = _near_pairs(distinct)
    links = csr_array((np.ones(len(rows), np.int8), (rows, columns)), (len(first), len(first)))
    _, labels = connected_components(links, directed=False)
    return np.asarray(labels[same], np.int64)


def _word_matrix(texts: list[str]) -> Any:
    """Queries by words: 1 where a query has a word; frequent words have the higher numbers.

    A query without any word has the whole text as its one word.
    """
    column = pa.array(texts, pa.string())
    spaced = pc.replace_substring_regex(pc.utf8_lower(column), WORDS_OF_ONE_LETTER, r" \1 ")
    plain = pc.utf8_trim_whitespace(pc.replace_substring_regex(spaced, BETWEEN_WORDS, " "))
    plain = pc.if_else(pc.equal(plain, ""), column, plain)
    split = pc.split_pattern(plain, " ")
    owners = np.repeat(np.arange(len(texts)), pc.list_value_length(split).to_numpy())
    codes = split.flatten().dictionary_encode().indices.to_numpy().astype(np.int64)
    width = int(codes.max(initial=0)) + 1
    pairs = np.unique(owners * width + codes)
    owners, codes = pairs // width, pairs % width
    order = np.argsort(np.argsort(np.bincount(codes, minlength=width), kind="stable"))
    shape = (len(texts), width)
    found = csr_array((np.ones(len(owners), np.int32), (owners, order[codes])), shape)
    found.sort_indices()
    return found


def _signatures(words: Any) -> Any:
    """A value for every query; equal sets of words have equal ones."""
    indices = words.indices.astype(np.int32)
    parts = np.split(indices, words.indptr[1:-1])
    return np.array([hash(part.tobytes()) for part in parts], np.int64)


def _near_pairs(words: Any) -> tuple[Ints, Ints]:
    """Pairs of queries, the first one's number smaller, whose word sets overlap enough."""
    lengths = np.diff(words.indptr).astype(np.int64)
    prefixes = _prefixes(words, lengths)
    after = prefixes.T.tocsr()
    rows, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    # A query may meet as many others as have one of its words, if they have no two in common.
    others = np.diff(after.indptr).astype(np.int64)
    for start, end in _blocks(prefixes @ others):
        block = slice(start, end)
        met = (prefixes[block] @ after).tocoo()
        left, right = met.row.astype(np.int64) + start, met.col.astype(np.int64)
        short, long = np.sort(np.stack([lengths[left], lengths[right]]), axis=0)
        kept = (left < right) & (short >= NEAR * long)
        left, right = left[kept], right[kept]
        common = words[left].multiply(words[right]).sum(axis=1)
        near = common >= NEAR * (lengths[left] + lengths[right] - common)
        rows.append(left[near])
        columns.append(right[near])
    return np.concatenate(rows), np.concatenate(columns)


def _blocks(pairs: Ints) -> Iterator[tuple[int, int]]:
    """First and end of queries that have `MOST_PAIRS` together, or of one that has more."""
    sums, start = np.cumsum(pairs), 0
    while start < len(pairs):
        before = sums[start - 1] if start else 0
        end = int(np.searchsorted(sums, before + MOST_PAIRS, side="right"))
        yield start, max(end, start + 1)
        start = max(end, start + 1)


def _prefixes(words: Any, lengths: Ints) -> Any:
    """The rarest words of every query: two near queries have one of these in common."""
    kept = lengths - np.ceil(NEAR * lengths).astype(np.int64) + 1
    within = np.arange(len(words.indices)) - np.repeat(words.indptr[:-1], lengths)
    rare = within < np.repeat(kept, lengths)
    data = np.ones(int(rare.sum()), np.int32)
    return csr_array((data, words.indices[rare], offsets_from_lengths(kept)), words.shape)
