"""Laws of ids, of tables, and of what commits, pins, refs, leases and collections leave behind."""

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
from hypothesis import HealthCheck, given, settings

from strop.artifacts.canonical import digest
from strop.artifacts.manifest import Recipe
from strop.artifacts.schemas import TABLES
from strop.artifacts.tables import read_table, write_batches

names = st.text(max_size=4)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | names
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
parameters = st.dictionaries(names, values, max_size=4)


def key(given: dict[str, Any]) -> str:
    return Recipe("scores", "score", 1, given, {}).key


def spelled(value: Any) -> Any:
    """A value such that two are the same identity exactly when they are spelled the same."""
    if isinstance(value, dict):
        return {name: spelled(item) for name, item in value.items()}
    if isinstance(value, list):
        return [spelled(item) for item in value]
    return (type(value).__name__, repr(value))


@given(parameters, parameters)
def test_ids_are_equal_exactly_where_parameters_are(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert (key(a) == key(b)) == (spelled(a) == spelled(b))


@given(parameters, st.randoms())
def test_the_order_of_keys_is_no_part_of_an_id(given: dict[str, Any], random: Any) -> None:
    items = list(given.items())
    random.shuffle(items)
    assert key(dict(items)) == key(given)


@given(parameters, names, scalars)
def test_one_more_nested_value_is_another_id(given: dict[str, Any], name: str, value: Any) -> None:
    assert key({**given, "nested": {name: value}}) != key({**given, "nested": {}})
    assert key({**given, "nested": [value]}) != key({**given, "nested": value})


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_neighbouring_floats_have_two_ids(value: float) -> None:
    other = math.nextafter(value, math.inf)
    assert math.isinf(other) or (digest(value) == digest(other)) == (repr(value) == repr(other))


def cells(kind: pa.DataType, *, nullable: bool) -> st.SearchStrategy[Any]:
    """Values of an Arrow type."""
    if pa.types.is_dictionary(kind):
        found: st.SearchStrategy[Any] = st.text(max_size=3)
    elif pa.types.is_string(kind):
        found = st.text(max_size=6)
    elif pa.types.is_boolean(kind):
        found = st.booleans()
    elif pa.types.is_integer(kind):
        bound = 2 ** (kind.bit_width - 1) - 1
        found = st.integers(-bound, bound)
    elif pa.types.is_floating(kind):
        found = st.floats(width=kind.bit_width, allow_nan=False)
    elif pa.types.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        found = st.fixed_dictionaries(
            {field.name: cells(field.type, nullable=field.nullable) for field in fields}
        )
    elif pa.types.is_map(kind):
        inner = st.dictionaries(
            st.text(max_size=3), cells(kind.item_type, nullable=False), max_size=2
        )
        found = inner.map(lambda mapping: list(mapping.items()))
    else:
        found = st.lists(cells(kind.value_type, nullable=False), max_size=2)
    return st.none() | found if nullable else found


SCHEMAS = [(kind, name) for kind, declared in TABLES.items() for name in declared]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_every_declared_table_comes_back_as_it_was(data: st.DataObject) -> None:
    kind, name = data.draw(st.sampled_from(SCHEMAS))
    schema = TABLES[kind][name]
    row = st.fixed_dictionaries(
        {field.name: cells(field.type, nullable=field.nullable) for field in schema}
    )
    rows = data.draw(st.lists(row, max_size=5))
    cut = data.draw(st.integers(0, len(rows)))
    parts = [pa.Table.from_pylist(part, schema=schema) for part in (rows[:cut], rows[cut:])]
    with TemporaryDirectory() as folder:
        write_batches(Path(folder) / "t.parquet", parts, schema)
        found = read_table(Path(folder) / "t.parquet")
    assert found.schema == schema
    assert found.to_pylist() == pa.Table.from_pylist(rows, schema=schema).to_pylist()
