"""Token ids of passages and queries, without special tokens, made once for every tokenizer."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import TOKENS
from strop.pipeline.ragged import Ragged
from strop.pipeline.scoring.token_ids import token_ids


def tokenize(tokenizer: Any, ids: pa.ChunkedArray, texts: Sequence[str], limit: int) -> pa.Table:
    """Rows of the tokens table; at most ``limit`` tokens of each text."""
    return pa.table([ids, token_column(tokenizer, texts, limit)], schema=TOKENS)


def token_column(tokenizer: Any, texts: Sequence[str], limit: int) -> pa.Array:
    """The token ids of each text, at most ``limit``."""
    return token_ids(tokenizer, texts, limit, special_tokens=False).to_arrow()


def count_at_limit(table: pa.Table, limit: int) -> int:
    """How many rows have as many tokens as the limit allows: nearly all of them were cut."""
    return int(pc.sum(pc.equal(pc.list_value_length(table["token_ids"]), limit)).as_py() or 0)


class TokenTable:
    """The token ids of some texts, found by id."""

    def __init__(self, table: pa.Table) -> None:
        """Keep the rows of a tokens table."""
        self.ids = table["id"]
        self.ragged = Ragged.from_arrow(table["token_ids"])

    @classmethod
    def of(cls, batches: Iterable[pa.Table], wanted: pa.Array) -> "TokenTable":
        """Keep only the texts that are wanted: memory is bounded by them, not by the corpus."""
        kept = [batch.filter(pc.is_in(batch["id"], value_set=wanted)) for batch in batches]
        return cls(pa.concat_tables(kept))

    def rows(self, ids: pa.ChunkedArray | pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The row of every id; raises `KeyError` naming the first one that is unknown."""
        found = pc.index_in(ids, value_set=self.ids)
        if found.null_count:
            missing = ids.filter(pc.is_null(found))[0].as_py()
            raise KeyError(f"no tokens of {missing!r}")
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)
