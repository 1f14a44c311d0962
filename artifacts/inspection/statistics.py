"""What a Parquet footer tells of a table's columns, without reading a row."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from strop.artifacts.tables import naming_damage


@dataclass(frozen=True)
class Column:
    """One column, or one leaf of a nested one; the bounds are None where the footer has none."""

    name: str
    type: str
    nullable: bool
    nulls: int | None
    low: Any
    high: Any


def column_statistics(path: Path) -> list[Column]:
    """Every leaf column of a table in order; raises `Damaged` when it is no Parquet file."""
    with naming_damage(path), pq.ParquetFile(path) as file:
        leaves = dict(_leaves(file.schema_arrow))
        names = [_plain(file.schema.column(i).path) for i in range(len(file.schema))]
        found = [_merged(file.metadata, index) for index in range(len(names))]
    fields = list(leaves.values())
    return [
        Column(name, type_text(field.type), field.nullable, *bounds)
        for name, field, bounds in zip(names, fields, found, strict=True)
    ]


def type_text(kind: pa.DataType) -> str:
    """A type in a word or two; a dictionary of strings is a label."""
    if pa.types.is_dictionary(kind):
        return "label"
    if pa.types.is_fixed_size_list(kind):
        return f"{kind.value_type}[{kind.list_size}]"
    if pa.types.is_list(kind) or pa.types.is_map(kind) or pa.types.is_struct(kind):
        return str(kind).partition("<")[0]
    return str(kind)


def _leaves(schema: Any, prefix: str = "") -> list[tuple[str, pa.Field]]:
    found = []
    for field in schema:
        name, kind = f"{prefix}{field.name}", field.type
        if pa.types.is_struct(kind):
            found += _leaves(kind, f"{name}.")
        elif pa.types.is_map(kind):
            found += _leaves([kind.key_field, kind.item_field], f"{name}.")
        elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
            found += _leaves([kind.value_field], f"{name}.")
        else:
            found.append((name, field))
    return found


def _plain(path: str) -> str:
    """A leaf's path without Parquet's own levels for lists and maps."""
    return ".".join(part for part in path.split(".") if part not in ("list", "key_value"))


def _merged(metadata: Any, index: int) -> tuple[int | None, Any, Any]:
    chunks = [metadata.row_group(group).column(index) for group in range(metadata.num_row_groups)]
    found = [chunk.statistics for chunk in chunks]
    if not found or any(item is None or not item.has_null_count for item in found):
        return (None, None, None)
    nulls = sum(item.null_count for item in found)
    bounded = [item for item in found if item.has_min_max]
    if not bounded:
        return (nulls, None, None)
    return (nulls, min(item.min for item in bounded), max(item.max for item in bounded))
