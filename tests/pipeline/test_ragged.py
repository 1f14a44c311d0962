"""Rows of unequal length keep what their numbers are made of."""

import numpy as np
import pyarrow as pa

from strop.pipeline.ragged import Ragged


def test_rows_keep_the_width_of_their_numbers_and_are_those_of_the_slice() -> None:
    lists = pa.chunked_array([pa.array([[1, 2], [], [3]], pa.list_(pa.int32()))]).slice(1)
    rows = Ragged.from_arrow(lists)
    taken = rows.take(np.array([1, 1, 0]))
    assert rows.flat.dtype == taken.flat.dtype == np.int32
    assert taken.to_arrow().to_pylist() == [[3], [3], []]
