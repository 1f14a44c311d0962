"""Passages that wait to be checked together, by column."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from strop.artifacts.schemas import CORPUS
from strop.pipeline.data.keys import Keys, keys, passage_keys
from strop.pipeline.data.text_files import Place

ROWS = 8192
"""Passages that wait one by one before they become columns."""


@dataclass
class PassageRows:
    """Passages that come one by one. Lists of texts, unlike tuples, give the garbage collector
    nothing to walk through."""

    ids: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    parents: list[str | None] = field(default_factory=list)
    """The documents that passages were cut from."""
    files: list[Place] = field(default_factory=list)
    """Places that were moved along since; where each one stood is in ``numbers``."""
    numbers: list[int] = field(default_factory=list)

    def place(self, row: int) -> str:
        """Where a passage was read."""
        file = self.files[row]
        return str(Place(file.file, file.unit, self.numbers[row]))

    def table(self) -> pa.Table:
        """The passages as a corpus table."""
        columns: list[Any] = [self.ids, self.titles, self.texts, self.parents]
        return pa.table([pa.array(column, pa.string()) for column in columns], schema=CORPUS)


@dataclass
class PassageBatch:
    """Passages in order, with the keys of their ids and texts."""

    num_rows: int = 0
    characters: int = 0
    _rows: PassageRows = field(default_factory=PassageRows)
    _tables: list[pa.Table] = field(default_factory=list)
    _keys: list[tuple[Keys, Keys]] = field(default_factory=list)
    _places: list[tuple[int, Callable[[int], str]]] = field(default_factory=list)
    """The first row of each table, and where its rows were read."""

    def add(self, place: Place, passage_id: str, text: str, title: str, parent: str | None) -> None:
        """Add a passage."""
        rows = self._rows
        rows.ids.append(passage_id)
        rows.titles.append(title)
        rows.texts.append(text)
        rows.parents.append(parent)
        rows.files.append(place)
        rows.numbers.append(place.number)
        self.num_rows += 1
        self.characters += len(text)
        if len(rows.ids) >= ROWS:
            self._close_rows()

    def add_all(self, place: Place, passages: pa.Table) -> None:
        """Add ids, titles and texts of lines that stand after a place."""
        self._close_rows()
        first, parents = place.number + 1, pa.nulls(passages.num_rows, pa.string())
        table = pa.table([*passages.columns, parents], schema=CORPUS)
        self._add(table, self.num_rows, lambda row: str(Place(place.file, place.unit, first + row)))
        self.num_rows += table.num_rows
        self.characters += passages["text"].nbytes

    def _close_rows(self) -> None:
        if self._rows.ids:
            rows, self._rows = self._rows, PassageRows()
            self._add(rows.table(), self.num_rows - len(rows.ids), rows.place)

    def _add(self, table: pa.Table, first: int, place: Callable[[int], str]) -> None:
        columns = (table[name].to_numpy(zero_copy_only=False) for name in CORPUS.names[:3])
        ids, titles, texts = (column.tolist() for column in columns)  # half of what a list takes
        self._tables.append(table)
        self._keys.append((keys(ids), passage_keys(titles, texts)))
        self._places.append((first, place))

    def columns(self) -> tuple[pa.Table, Keys, Keys]:
        """All passages as a corpus table, and the keys of their ids and of their texts."""
        self._close_rows()
        id_keys, text_keys = (np.concatenate(found) for found in zip(*self._keys, strict=True))
        return pa.concat_tables(self._tables), id_keys, text_keys

    def place(self, row: int) -> str:
        """Where a passage was read."""
        table = bisect_right(self._places, row, key=lambda found: found[0]) - 1
        first, place = self._places[table]
        return place(row - first)
