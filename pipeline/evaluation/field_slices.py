"""Slices by the fields of queries: categories by their value, numbers by thirds."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.data.query_fields import COLUMNS
from strop.pipeline.evaluation.ranking import FloatArray, IntArray

Cut = tuple[str, IntArray, Mapping[int, str]]
"""A kind of slice: its name, a code a query, and the names of the codes."""

SHOWN = 8
"""Categories of a field that are told by themselves: its most frequent ones."""
FEW = 24
"""A text field of more values cuts slices only when it is asked for."""
OTHERS, NO_VALUE = "other values", "no value"


def field_cuts(
    query_ids: Sequence[str],
    queries: pa.Table,
    fields: pa.Table | None,
    asked: Sequence[str] | None,
) -> Iterator[Cut]:
    """The cuts by the asked fields, or, where that is None, by every field of few values.

    Numbers of many values are cut into thirds. A field with one value among these queries cuts
    nothing.
    """
    for name, values in _fields(query_ids, queries, fields, asked):
        numbers = _numbers(values)
        distinct = len(set(values) - {None})
        if numbers is not None and distinct > SHOWN:
            codes, names = _number_slices(numbers)
        elif asked is None and distinct > FEW:
            continue
        else:
            codes, names = _categories(values)
        if len(np.unique(codes)) > 1:
            yield name, codes, names


def thirds(values: FloatArray, number: str, unit: str) -> tuple[IntArray, dict[int, str]]:
    """Codes from 0 of up to three ranges of about equally many queries, and their names.

    Equal values stay together.
    """
    if len(values) == 0:
        return np.zeros(0, np.int64), {}
    edges = np.unique(np.quantile(values, [1 / 3, 2 / 3], method="lower"))
    _, codes = np.unique(np.searchsorted(edges, values, side="left"), return_inverse=True)
    names = {}
    for code in range(int(codes.max()) + 1):
        within = values[codes == code]
        ends = dict.fromkeys(number.format(end) for end in (within.min(), within.max()))
        names[code] = "–".join(ends) + unit
    return codes.astype(np.int64), names


def _fields(
    query_ids: Sequence[str],
    queries: pa.Table,
    fields: pa.Table | None,
    asked: Sequence[str] | None,
) -> Iterator[tuple[str, list[str | None]]]:
    """Each field's name and its value for every query, None where it has none."""
    ids = pa.array(query_ids, pa.string())
    known = pc.unique(fields["field"].cast(pa.string())).to_pylist() if fields else []
    for name in sorted(known) if asked is None else asked:
        if fields is not None and name in known:
            rows = fields.filter(pc.equal(fields["field"].cast(pa.string()), name))
            column = rows["value"]
        elif name in COLUMNS:
            rows, column = queries, queries[name].cast(pa.string())
        else:
            continue
        yield name, column.take(pc.index_in(ids, value_set=rows["query_id"])).to_pylist()


def _numbers(values: Sequence[str | None]) -> FloatArray | None:
    """The values as numbers, not-a-number where there is none; None where one is no number."""
    try:
        numbers = np.array([np.nan if value is None else float(value) for value in values])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).any() else None


def _number_slices(numbers: FloatArray) -> tuple[IntArray, dict[int, str]]:
    found = np.isfinite(numbers)
    known, names = thirds(numbers[found], "{0:.15g}", "")  # as they were given
    codes = np.full(len(numbers), len(names), np.int64)
    codes[found] = known
    return codes, {**names, len(names): NO_VALUE}


def _categories(values: Sequence[str | None]) -> tuple[IntArray, dict[int, str]]:
    counts = Counter(value for value in values if value is not None)
    shown = sorted(counts, key=lambda value: (-counts[value], value))[:SHOWN]
    places = {value: code for code, value in enumerate(shown)}
    codes = [len(shown) + 1 if value is None else places.get(value, len(shown)) for value in values]
    named = {code: " ".join(value.split())[:60] for value, code in places.items()}
    return np.array(codes, np.int64), {**named, len(shown): OTHERS, len(shown) + 1: NO_VALUE}
