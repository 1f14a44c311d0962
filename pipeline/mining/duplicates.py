"""Passages that say the same as a positive, under another id."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.arrays import Ints


def text_keys(corpus: Iterable[pa.Table], passage_ids: pa.Array) -> Ints:
    """A number for every passage id; equal numbers mean equal text.

    Texts are compared in lower case with white space folded; the corpus is read in batches, and
    only the passages asked for are kept.
    """
    kept = []
    for batch in corpus:
        wanted = batch.filter(pc.is_in(batch["passage_id"], value_set=passage_ids))
        joined = pc.binary_join_element_wise(wanted["title"], wanted["text"], " ")
        folded = pc.utf8_trim_whitespace(
            pc.replace_substring_regex(pc.utf8_lower(joined), r"\s+", " ")
        )
        kept.append(pa.table({"passage_id": wanted["passage_id"], "text": folded}))
    table = pa.concat_tables(kept)
    codes = table["text"].combine_chunks().dictionary_encode()
    rows = pc.index_in(passage_ids, value_set=table["passage_id"])
    numbers: Any = codes.indices.take(rows)
    return np.asarray(numbers.to_numpy(zero_copy_only=False), np.int64)


def repeats_a_positive(query_codes: Ints, keys: Ints, positive: Any) -> Any:
    """Which rows have the text of a positive of their query, without being one; bool per row."""
    pairs = query_codes * (int(keys.max(initial=0)) + 1) + keys
    return np.isin(pairs, pairs[positive]) & ~positive
