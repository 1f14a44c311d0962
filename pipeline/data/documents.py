"""Which passages were cut from longer documents, by their keys alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from strop.pipeline.data.keys import KeyTable, keys

Row = tuple[str, str, str, str | None]
"""A passage's id, title, text and the id of the document that it was cut from."""


@dataclass
class DocumentKeys:
    """Documents and the passages that were cut from them, in 32 bytes of each at most."""

    _documents: KeyTable = field(default_factory=KeyTable)
    _chunks: KeyTable = field(default_factory=KeyTable)

    def __len__(self) -> int:
        """Documents so far; passages of none are not counted."""
        return len(self._documents)

    @property
    def num_chunks(self) -> int:
        """Passages of documents so far."""
        return len(self._chunks)

    def add(self, rows: Sequence[Row]) -> None:
        """Take passages into account; those of no document are left out."""
        cut = [row for row in rows if row[3]]
        if cut:
            self._documents.add_new(keys([str(row[3]) for row in cut]))
            self._chunks.add_new(keys([row[0] for row in cut]))

    def are_documents(self, ids: list[str]) -> Any:
        """Which ids are of documents that passages were cut from."""
        return self._documents.find(keys(ids))[0]

    def are_chunks(self, ids: list[str]) -> Any:
        """Which ids are of passages that were cut from a document."""
        return self._chunks.find(keys(ids))[0]
