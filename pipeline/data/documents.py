"""Which passages were cut from longer documents, by their keys alone."""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from strop.pipeline.data.keys import KeyTable, keys


@dataclass
class DocumentKeys:
    """Documents and the passages that were cut from them, in 8 bytes of each."""

    _documents: KeyTable = field(default_factory=KeyTable)
    _chunks: KeyTable = field(default_factory=KeyTable)

    def __len__(self) -> int:
        """Documents so far; passages of none are not counted."""
        return len(self._documents)

    @property
    def num_chunks(self) -> int:
        """Passages of documents so far."""
        return len(self._chunks)

    def add(self, corpus: pa.Table) -> None:
        """Take passages into account; those of no document are left out."""
        if corpus["parent_id"].null_count < corpus.num_rows:
            cut = corpus.filter(corpus["parent_id"].is_valid())
            self._documents.add_new(keys(cut["parent_id"].to_pylist()))
            self._chunks.add_new(keys(cut["passage_id"].to_pylist()))

    def are_documents(self, ids: list[str]) -> Any:
        """Which ids are of documents that passages were cut from."""
        return self._documents.find(keys(ids))[0]

    def are_chunks(self, ids: list[str]) -> Any:
        """Which ids are of passages that were cut from a document."""
        return self._chunks.find(keys(ids))[0]
