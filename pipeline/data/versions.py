"""What changed from one version of a corpus to the next, by ids and texts."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from strop.pipeline.data.keys import Keys, keys

COMMON = 0.5
"""Share of the earlier corpus' ids from which another corpus is a version of it."""


def corpus_changes(before: Iterable[pa.Table], after: Iterable[pa.Table]) -> dict[str, int] | None:
    """Counts of passages that are the same, changed, new and removed; None for other data.

    In memory are 16 bytes of each passage.
    """
    old_ids, old_texts = _keys(before)
    new_ids, new_texts = _keys(after)
    order = np.argsort(old_ids)
    old_ids, old_texts = old_ids[order], old_texts[order]
    places = np.minimum(np.searchsorted(old_ids, new_ids), max(len(old_ids) - 1, 0))
    known = old_ids[places] == new_ids
    same = known & (old_texts[places] == new_texts)
    if known.sum() < COMMON * len(old_ids):
        return None
    return {
        "same": int(same.sum()),
        "changed": int((known & ~same).sum()),
        "new": int((~known).sum()),
        "removed": int(len(old_ids) - known.sum()),
    }


def _keys(corpus: Iterable[pa.Table]) -> tuple[Keys, Keys]:
    ids, texts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for batch in corpus:
        columns: Any = (batch[name].to_pylist() for name in ("title", "text"))
        ids.append(keys(batch["passage_id"].to_pylist()))
        texts.append(keys([f"{title}\x1f{text}" for title, text in zip(*columns, strict=True)]))
    return np.concatenate(ids), np.concatenate(texts)
