"""What the columns of the store's tables are made of."""

import pyarrow as pa

ID = pa.string()
LABEL = pa.dictionary(pa.int32(), pa.string())


def schema(**columns: pa.DataType) -> pa.Schema:
    """A schema of columns that are never null."""
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


def nullable(table: pa.Schema, *names: str) -> pa.Schema:
    """The schema with these columns nullable."""
    for name in names:
        index = table.get_field_index(name)
        table = table.set(index, table.field(index).with_nullable(True))
    return table
