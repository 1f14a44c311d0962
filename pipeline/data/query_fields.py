"""What else is known of queries, such as their language or source: one row a query and field."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import QUERY_FIELDS
from strop.pipeline.errors import InputError

COLUMNS = ("group_id", "weight")
"""Columns of every queries table that slices may be cut by too, when they are asked for."""


def field_table(fields_by_query: Mapping[str, Mapping[str, str]]) -> pa.Table:
    """The ``query_fields`` table, in the order of the queries."""
    rows = [
        {"query_id": query, "field": name, "value": value}
        for query, fields in fields_by_query.items()
        for name, value in sorted(fields.items())
    ]
    return pa.Table.from_pylist(rows, schema=QUERY_FIELDS)


def require_fields(asked: Sequence[str] | None, fields: pa.Table | None) -> None:
    """Raise `InputError` naming the first asked field that no query has."""
    names = pc.unique(fields["field"].cast(pa.string())).to_pylist() if fields else []
    for name in asked or ():
        if name not in (*names, *COLUMNS):
            raise InputError(
                f"evaluation.slices: no query has a field {name!r}, expected one of "
                f"{', '.join(sorted([*names, *COLUMNS]))}"
            )
