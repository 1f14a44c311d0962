"""The corpus as it is read: checked in batches, written at once, and remembered by its keys."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from strop.artifacts.schemas import CORPUS
from strop.pipeline.data.chunks import Chunking, chunk_id
from strop.pipeline.data.documents import DocumentKeys, Row
from strop.pipeline.data.fields import is_blank
from strop.pipeline.data.keys import Keys, KeyTable, first_places, keys
from strop.pipeline.data.text_files import Place
from strop.pipeline.data.validation import Defects
from strop.pipeline.progress import SILENT, Progress

BATCH_ROWS = 8192
BATCH_CHARACTERS = 64 << 20
"""A batch of long documents is written before it has its rows."""

Write = Callable[[pa.Table], object]


def text_id(prefix: str, text: str) -> str:
    """The id of a text that has none: the same text has the same id in every file."""
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


@dataclass
class Passages:
    """Writes passages in batches; in memory stay 32 bytes of each, and no text.

    Of a passage that was cut from a document stay 32 more. ``repeats`` says that an id may come
    again with the same text, which is then one passage; ``chunking`` cuts long passages.
    """

    defects: Defects
    write: Write
    repeats: bool = False
    progress: Progress = SILENT
    merged: int = 0
    """Rows that were the same passage again."""
    duplicate_texts: int = 0
    parents: dict[str, str] = field(default_factory=dict)
    """Source documents of the passages that have one, where ``keep_parents`` asks for them."""
    keep_parents: bool = False
    chunking: Chunking | None = None
    cut: int = 0
    """Passages that were too long and were cut into chunks."""
    documents: DocumentKeys = field(default_factory=DocumentKeys)
    _shared: list[int] = field(default_factory=list)
    _rows: list[Row] = field(default_factory=list)
    _places: list[tuple[Place, int]] = field(default_factory=list)
    _characters: int = 0
    _ids: KeyTable = field(default_factory=KeyTable)
    _texts: KeyTable = field(default_factory=KeyTable)

    def __len__(self) -> int:
        """Distinct passages so far."""
        self._flush()
        return len(self._ids)

    def add(
        self, place: Place, passage_id: str, text: str, title: str = "", parent: str | None = None
    ) -> None:
        """Add a passage, or its chunks; an empty one and an id used before are errors."""
        if is_blank(text) and is_blank(title):
            self.defects.add(
                "empty passage", f"{place}: passage {passage_id!r} has neither title nor text; "
                "give it a text or remove the line"
            )  # fmt: skip
        if self.keep_parents and parent:
            self.parents[passage_id] = parent
        chunks = [text] if self.chunking is None else self.chunking.cut(text)
        if len(chunks) == 1:
            self._add_row(place, (passage_id, title, text, parent))
            return
        if parent:
            self.defects.add(
                "cut twice", f"{place}: passage {passage_id!r} was cut from document {parent!r} "
                "already, expected whole documents where long ones are cut into chunks"
            )  # fmt: skip
        self.cut += 1
        for number, chunk in enumerate(chunks, start=1):
            self._add_row(place, (chunk_id(passage_id, number), title, chunk, passage_id))

    def _add_row(self, place: Place, row: Row) -> None:
        self._rows.append(row)
        self._places.append((place, place.number))
        self._characters += len(row[2])
        if len(self._rows) >= BATCH_ROWS or self._characters >= BATCH_CHARACTERS:
            self._flush()

    def add_text(self, place: Place, text: str, title: str = "") -> str:
        """Add a passage without an id; returns the id that its title and text make."""
        passage_id = text_id("p", f"{title}\n{text}" if title else text)
        self.add(place, passage_id, text, title)
        return passage_id

    def known(self, passage_ids: list[str]) -> Any:
        """Which ids are in the corpus, one truth value each."""
        self._flush()
        return self._ids.find(keys(passage_ids))[0]

    def share_text(self, passage_ids: list[str]) -> Any:
        """Which of these passages have their title and text under another id too, one each."""
        self._flush()
        return np.isin(self._ids.find(keys(passage_ids))[1], np.array(self._shared, np.int64))

    def finish(self) -> None:
        """Write what waits."""
        self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        rows, places = self._rows, self._places
        self._rows, self._places, self._characters = [], [], 0
        id_keys = keys([row[0] for row in rows])
        text_keys = keys([f"{row[1]}\x1f{row[2]}" for row in rows])
        first = first_places(id_keys)
        before, their_texts = self._ids.find(id_keys)
        again = before | (first != np.arange(len(rows)))
        if again.any():
            same = np.where(before, their_texts, text_keys[first]) == text_keys
            self._repeated(rows, places, again, same)
        new = np.flatnonzero(~again)
        self._warn_of_texts(rows, places, new, text_keys)
        self._ids.add(id_keys[new], text_keys[new])
        if len(new):
            added = [rows[row] for row in new]
            self.documents.add(added)
            self.write(_table(added))
        self.progress.advance(len(rows))

    def _repeated(
        self, rows: list[Row], places: list[tuple[Place, int]], again: Any, same: Any
    ) -> None:
        for row in np.flatnonzero(again):
            if self.repeats and same[row]:
                self.merged += 1
                continue
            way_out = "; ids must be unique, rename or remove one"
            if self.repeats:
                way_out = " with another text; expected the same text again, rename one"
            self.defects.add(
                "duplicate passage",
                f"{_at(places[row])}: passage id {rows[row][0]!r} was used before{way_out}",
            )

    def _warn_of_texts(
        self, rows: list[Row], places: list[tuple[Place, int]], new: Keys, text_keys: Keys
    ) -> None:
        """Count passages whose text another id has too; remember the others."""
        found = text_keys[new]
        known = self._texts.find(found)[0] | (first_places(found) != np.arange(len(found)))
        for row in new[known]:
            self.duplicate_texts += 1
            self._shared.append(int(text_keys[row]))
            self.defects.warn(
                "duplicate text", f"{_at(places[row])}: passage {rows[row][0]!r} has the title "
                "and text of an earlier one under another id"
            )  # fmt: skip
        self._texts.add(found[~known], np.zeros((~known).sum(), np.int64))


def _at(place: tuple[Place, int]) -> str:
    where, number = place
    return str(Place(where.file, where.unit, number))


def _table(rows: list[Row]) -> pa.Table:
    ids, titles, texts, parents = zip(*rows, strict=True)
    columns = [pa.array(column, pa.string()) for column in (ids, titles, texts, parents)]
    return pa.table(columns, schema=CORPUS)
