"""Columns and their bounds from Parquet footers."""

from pathlib import Path

import pyarrow as pa
import pytest

from strop.artifacts.errors import Damaged
from strop.artifacts.inspection.statistics import Column, column_statistics
from strop.artifacts.schemas import CURRICULUM, NEGATIVES, SELECTION
from strop.artifacts.tables import ROW_GROUP_ROWS, write_table


def test_bounds_are_over_all_row_groups(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("score", pa.float32()), pa.field("name", pa.string(), False)])
    rows = ROW_GROUP_ROWS + 2
    scores = [0.5] * (rows - 2) + [-3.0, None]
    table = pa.table({"score": scores, "name": ["b"] + ["c"] * (rows - 2) + ["a"]}, schema=schema)
    write_table(tmp_path / "t.parquet", table, schema)
    assert column_statistics(tmp_path / "t.parquet") == [
        Column("score", "float", True, 1, -3.0, 0.5),
        Column("name", "string", False, 0, "a", "c"),
    ]


@pytest.mark.parametrize("schema", [NEGATIVES, SELECTION, CURRICULUM])
def test_every_leaf_of_nested_columns_is_named(tmp_path: Path, schema: pa.Schema) -> None:
    write_table(tmp_path / "t.parquet", schema.empty_table(), schema)
    found = {column.name: column for column in column_statistics(tmp_path / "t.parquet")}
    assert all(column.nulls is column.low is column.high is None for column in found.values())
    if schema is NEGATIVES:
        assert found["negatives.element.sampler"].type == "string"
        assert found["negatives.element.score"].nullable
    if schema is SELECTION:
        assert found["decision"].type == "label"


def test_a_file_that_is_no_parquet_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(Damaged, match=r"t\.parquet: not a readable Parquet file"):
        column_statistics(tmp_path / "t.parquet")
