"""Passages that wait to be checked together, by column."""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from strop.artifacts.schemas import CORPUS
from strop.pipeline.arrays import Ints
from strop.pipeline.data.text_files import Place


@dataclass
class PassageBatch:
    """Columns of equal length. Lists of texts, unlike tuples, give the garbage collector nothing
    to walk through, which took a third of an import's time."""

    ids: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    parents: list[str | None] = field(default_factory=list)
    """The documents that passages were cut from."""
    files: list[Place] = field(default_factory=list)
    """Places that were moved along since; where each one stood is in ``numbers``."""
    numbers: list[int] = field(default_factory=list)
    characters: int = 0

    def __len__(self) -> int:
        """Passages that wait."""
        return len(self.ids)

    def add(self, place: Place, passage_id: str, text: str, title: str, parent: str | None) -> None:
        """Add a passage."""
        self.ids.append(passage_id)
        self.titles.append(title)
        self.texts.append(text)
        self.parents.append(parent)
        self.files.append(place)
        self.numbers.append(place.number)
        self.characters += len(text)

    def add_all(
        self, place: Place, passage_ids: list[str], texts: list[str], titles: list[str]
    ) -> None:
        """Add passages of no document, which stand line by line from a place on."""
        count = len(passage_ids)
        self.ids += passage_ids
        self.titles += titles
        self.texts += texts
        self.parents += [None] * count
        self.files += [place] * count
        self.numbers += range(place.number, place.number + count)
        self.characters += sum(map(len, texts))

    def place(self, row: int) -> str:
        """Where a passage was read."""
        file = self.files[row]
        return str(Place(file.file, file.unit, self.numbers[row]))

    def table(self, rows: Ints) -> pa.Table:
        """Some rows as a corpus table."""
        columns: list[Any] = [self.ids, self.titles, self.texts]
        arrays = [pa.array(column, pa.string()) for column in columns]
        if any(self.parents):
            arrays.append(pa.array(self.parents, pa.string()))
        else:
            arrays.append(pa.nulls(len(self), pa.string()))
        found = pa.table(arrays, schema=CORPUS)
        return found if len(rows) == len(self) else found.take(pa.array(rows))
