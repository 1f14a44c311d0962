"""Vectors as columns of tables, and back."""

from typing import Any

import numpy as np
import pyarrow as pa

from strop.artifacts.schemas import vectors

Vectors = np.ndarray[Any, np.dtype[np.float32]]


def vector_column(matrix: Vectors) -> pa.Array:
    """Vectors as a column."""
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])


def vector_table(ids: pa.ChunkedArray | pa.Array, column: pa.Array) -> pa.Table:
    """Ids and their vectors as rows of an embedding table."""
    return pa.table([ids, column], schema=vectors(column.type.list_size))


def vector_matrix(table: pa.Table) -> Vectors:
    """The vectors of an embedding table; shape (rows, dimension)."""
    column = table.column("vector").combine_chunks()
    width = column.type.list_size
    return np.asarray(column.flatten().to_numpy(), dtype=np.float32).reshape(-1, width)
