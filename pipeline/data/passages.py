"""The corpus as it is read: checked in batches, written at once, and remembered by its keys."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from strop.pipeline.data.behind import Behind
from strop.pipeline.data.chunks import Chunking, chunk_id
from strop.pipeline.data.documents import DocumentKeys
from strop.pipeline.data.fields import is_blank
from strop.pipeline.data.keys import Keys, KeyTable, first_places, keys
from strop.pipeline.data.passage_batch import PassageBatch
from strop.pipeline.data.sketched_corpus import SketchedCorpus
from strop.pipeline.data.text_files import Place
from strop.pipeline.data.validation import Defects
from strop.pipeline.progress import SILENT, Progress

BATCH_ROWS = 1 << 15
BATCH_CHARACTERS = 64 << 20
"""A batch of long documents is written before it has its rows."""

Write = Callable[[pa.Table], object]


def text_id(prefix: str, text: str) -> str:
    """The id of a text that has none: the same text has the same id in every file."""
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


@dataclass
class Passages:
    """Writes passages in batches; in memory stay 24 bytes of each, and no text.

    Of a passage that was cut from a document stay 16 more. ``repeats`` says that an id may come
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
    sketched: SketchedCorpus | None = None
    """Where sketches of passages are kept, if they are asked for."""
    writing: Behind | None = None
    """What writes while the next passages are read."""
    sketching: Behind | None = None
    """What sketches meanwhile."""
    _shared: list[int] = field(default_factory=list)
    _waiting: PassageBatch = field(default_factory=PassageBatch)
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
        if (not text or text.isspace()) and is_blank(title):
            self.defects.add(
                "empty passage", f"{place}: passage {passage_id!r} has neither title nor text; "
                "give it a text or remove the line"
            )  # fmt: skip
        if self.keep_parents and parent:
            self.parents[passage_id] = parent
        chunks = None if self.chunking is None else self.chunking.cut(text)
        if chunks is None or len(chunks) == 1:
            self._add_row(place, passage_id, text, title, parent)
            return
        if parent:
            self.defects.add(
                "cut twice", f"{place}: passage {passage_id!r} was cut from document {parent!r} "
                "already, expected whole documents where long ones are cut into chunks"
            )  # fmt: skip
        self.cut += 1
        for number, chunk in enumerate(chunks, start=1):
            self._add_row(place, chunk_id(passage_id, number), chunk, title, passage_id)

    def add_all(self, place: Place, passages: pa.Table) -> None:
        """Add passages with ids, titles and texts of whole lines, which stand after a place.

        The place moves along.
        """
        if self.chunking is None:
            self._waiting.add_all(place, passages)
            place.number += passages.num_rows
            self._flush_full()
            return
        columns = (passages[name].to_pylist() for name in passages.column_names)
        for passage_id, title, text in zip(*columns, strict=True):
            place.number += 1
            self.add(place, passage_id, text, title)

    def _add_row(
        self, place: Place, passage_id: str, text: str, title: str, parent: str | None
    ) -> None:
        self._waiting.add(place, passage_id, text, title, parent)
        self._flush_full()

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
        for behind in (self.writing, self.sketching):
            if behind:
                behind.wait()

    def _flush_full(self) -> None:
        waiting = self._waiting
        if waiting.num_rows >= BATCH_ROWS or waiting.characters >= BATCH_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        """Check what waits against each other and all before, and write what is new."""
        waiting = self._waiting
        if not waiting.num_rows:
            return
        self._waiting = PassageBatch()
        rows, id_keys, text_keys = waiting.columns()
        first = first_places(id_keys)
        before, their_texts = self._ids.find(id_keys)
        again = before | (first != np.arange(len(rows)))
        new = np.flatnonzero(~again)
        if len(new) < len(rows):
            same = np.where(before, their_texts, text_keys[first]) == text_keys
            self._repeated(rows, waiting, again, same)
        self._warn_of_texts(rows, waiting, new, text_keys)
        self._ids.add(id_keys[new], text_keys[new])
        if len(new):
            added = rows if len(new) == len(rows) else rows.take(pa.array(new))
            self.documents.add(added)
            _do(partial(self.write, added), self.writing)
            if self.sketched:
                _do(partial(self.sketched.add, id_keys[new], added), self.sketching)
        self.progress.advance(len(rows))

    def _repeated(self, rows: pa.Table, read: PassageBatch, again: Any, same: Any) -> None:
        for row in np.flatnonzero(again).tolist():
            if self.repeats and same[row]:
                self.merged += 1
                continue
            way_out = "; ids must be unique, rename or remove one"
            if self.repeats:
                way_out = " with another text; expected the same text again, rename one"
            self.defects.add(
                "duplicate passage",
                f"{read.place(row)}: passage id {_id(rows, row)!r} was used before{way_out}",
            )

    def _warn_of_texts(
        self, rows: pa.Table, read: PassageBatch, new: Keys, text_keys: Keys
    ) -> None:
        """Count passages whose text another id has too; remember the others."""
        found = text_keys[new]
        known = self._texts.find(found)[0] | (first_places(found) != np.arange(len(found)))
        for row in new[known].tolist():
            self.duplicate_texts += 1
            self._shared.append(int(text_keys[row]))
            self.defects.warn(
                "duplicate text", f"{read.place(row)}: passage {_id(rows, row)!r} has the title "
                "and text of an earlier one under another id"
            )  # fmt: skip
        self._texts.add(found[~known])


def _do(work: Callable[[], object], behind: Behind | None) -> None:
    behind.do(work) if behind else work()


def _id(rows: pa.Table, row: int) -> str:
    return str(rows["passage_id"][row])
