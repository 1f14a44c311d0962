"""Columns of ids as dictionaries: 4 bytes a row, and work on texts once for each distinct one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.arrays import Ints


def encoded(column: Any) -> pa.DictionaryArray:
    """A column of texts as one dictionary array; one that was none has its texts as they come."""
    found = column.dictionary_encode()
    if isinstance(found, pa.ChunkedArray):
        found = found.unify_dictionaries().combine_chunks()
    return found


def each(column: Any, numbers: Callable[[pa.Array], Ints]) -> Ints:
    """Every row's number; ``numbers`` gives those of distinct texts."""
    found = encoded(column)
    return numbers(found.dictionary)[indices(found)]


def indices(column: pa.DictionaryArray) -> Ints:
    """The place of every row's text in the dictionary."""
    found: Any = column.indices.to_numpy(zero_copy_only=False)
    return np.asarray(found)


def places(column: Any, values: Any) -> Ints:
    """The place in ``values``, which are distinct, of every row's text; -1 where it is none."""

    def find(texts: pa.Array) -> Ints:
        found = pc.fill_null(pc.index_in(texts, value_set=values), -1)
        return np.asarray(found.to_numpy(zero_copy_only=False), np.int32)

    return each(column, find) if len(column) else np.zeros(0, np.int32)


def compact(table: pa.Table, names: list[str]) -> pa.Table:
    """The table with these columns as dictionaries, in one chunk."""
    for name in names:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, encoded(table[name]))
    return table


def plain(table: pa.Table, names: list[str]) -> pa.Table:
    """The table with these columns as texts."""
    for name in names:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(pa.string()))
    return table
