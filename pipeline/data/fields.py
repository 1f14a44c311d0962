"""Values of records, checked: each is of its type, or an error says what was found instead."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.data.text_files import Place
from strop.pipeline.data.validation import Defects

Record = Mapping[str, Any]
GRADE = re.compile(r"[+-]?[0-9]{1,9}")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
LARGEST = 3.4028234e38
"""The largest number that float32, the type of scores, can hold."""
SMALLEST = 1.1754944e-38
"""The smallest number above 0 that float32 holds with all its digits."""


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold it: JSON's escapes can spell half a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_blank(text: str) -> bool:
    """Whether there is nothing in it but white space."""
    return not text or text.isspace()


def are_texts(column: pa.ChunkedArray) -> bool:
    """Whether all values are texts that are not blank."""
    shortest = pc.min(pc.binary_length(column)).as_py()
    return not column.null_count and bool(shortest) and not pc.any(pc.utf8_is_space(column)).as_py()


def are_ids(column: pa.ChunkedArray) -> bool:
    """Whether all values are texts that `is_id` takes, and not blank."""
    if not are_texts(column):
        return False
    printable = pc.all(pc.ascii_is_printable(column)).as_py()  # as most are, and sooner seen
    return printable or not pc.any(pc.match_substring_regex(column, CONTROL.pattern)).as_py()


def text_field(
    record: Record, key: str, place: Place, defects: Defects, *, may_be_empty: bool = False
) -> str | None:
    """The text under a key; None, and an error, where there is none."""
    value = record.get(key)
    if isinstance(value, str) and (may_be_empty or not is_blank(value)) and is_unicode(value):
        return value
    _wrong(record, key, place, defects, "a text")
    return None


def optional_text(record: Record, key: str, place: Place, defects: Defects) -> str | None:
    """The text under a key, or an empty one where the key is absent or null."""
    if record.get(key) is None:
        return ""
    return text_field(record, key, place, defects, may_be_empty=True)


def id_field(record: Record, key: str, place: Place, defects: Defects) -> str | None:
    """The id under a key, a text or a whole number; None, and an error, where there is none."""
    found = _as_id(record.get(key))
    if found is None:
        _wrong(record, key, place, defects, "a text")
    return found


def ids_field(record: Record, key: str, place: Place, defects: Defects) -> list[str] | None:
    """The list of ids under a key, each as `id_field` takes it; None, and an error, for another."""
    value = record.get(key)
    if not isinstance(value, list):
        _wrong(record, key, place, defects, "a list of texts")
        return None
    found = [_as_id(item) for item in value]
    if None in found:
        number = found.index(None)
        defects.add(
            f"bad {key}",
            f"{place}: field {key!r} has {shown(value[number])} at {number}, expected a text "
            "without line ends and tabs",
        )
        return None
    return [item for item in found if item is not None]


def _as_id(value: Any) -> str | None:
    """A value as an id, or None."""
    if isinstance(value, str) and not is_blank(value) and is_id(value):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def is_id(text: str) -> bool:
    """Whether a text can be an id: no line ends, tabs or other control characters in it."""
    return text.isprintable() or (not CONTROL.search(text) and is_unicode(text))


def optional_id(record: Record, key: str, place: Place, defects: Defects) -> str | None:
    """The id under a key, or an empty one where the key is absent or null."""
    if record.get(key) is None:
        return ""
    return id_field(record, key, place, defects)


def grade_field(record: Record, key: str, place: Place, defects: Defects) -> int | None:
    """The whole number under a key, also as text, float or truth value."""
    value = record.get(key)
    if isinstance(value, str) and GRADE.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, int | float) and is_grade(value):
        return int(value)
    _wrong(record, key, place, defects, "a whole number")
    return None


def is_grade(value: float) -> bool:
    """Whether a number is whole and of no more than nine digits."""
    return abs(value) < 10**9 and value == int(value)


def number_field(record: Record, key: str, place: Place, defects: Defects) -> float | None:
    """The finite number under a key, also as text; None, and an error, where there is none."""
    number = as_number(record.get(key))
    if number is None:
        _wrong(record, key, place, defects, "a finite number")
    return number


def as_number(value: Any) -> float | None:
    """A value as a finite number that float32 holds, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) <= LARGEST else None


def weight_field(record: Record, key: str, place: Place, defects: Defects) -> float | None:
    """A query's weight: 1 where the key is absent or null, else above 0 as float32 too."""
    if record.get(key) is None:
        return 1.0
    number = as_number(record[key])
    if number is None or number < SMALLEST:
        above = f"{SMALLEST:.1e}, which float32 holds" if number and number > 0 else "0"
        _wrong(record, key, place, defects, f"a number above {above}")
        return None
    return number


def texts_field(record: Record, key: str, place: Place, defects: Defects) -> list[str] | None:
    """The list of texts under a key; None, and an error, where it is none.

    One text in place of the list is an error too: taken for a list, it would be cut into letters.
    """
    value = record.get(key)
    if isinstance(value, list):
        good = [item for item in value if isinstance(item, str) and item.strip()]
        if len(good) == len(value) and all(map(is_unicode, good)):
            return good
        number, item = next(
            (number, item)
            for number, item in enumerate(value)
            if not (isinstance(item, str) and item.strip() and is_unicode(item))
        )
        defects.add(
            f"bad {key}", f"{place}: field {key!r} has {shown(item)} at {number}, expected a text"
        )
        return None
    _wrong(record, key, place, defects, "a list of texts")
    return None


def numbers_field(
    record: Record, key: str, place: Place, defects: Defects, *, count: int
) -> list[float] | None:
    """The list of numbers under a key; an empty one where it is absent or null.

    None, and an error, where it is no list, not ``count`` long, or has anything else in it.
    """
    value = record.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        _wrong(record, key, place, defects, "a list of numbers")
        return None
    if len(value) != count:
        defects.add(
            f"bad {key}",
            f"{place}: field {key!r} has {len(value)} numbers, expected {count}, one a text",
        )
        return None
    numbers = [as_number(item) for item in value]
    if None in numbers:
        item = value[numbers.index(None)]
        defects.add(
            f"bad {key}", f"{place}: field {key!r} has {shown(item)}, expected finite numbers"
        )
        return None
    return [number for number in numbers if number is not None]


def single_values(values: Any, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """The single values of metadata, as texts; lists and objects cut no slices."""
    if not isinstance(values, Mapping):
        return {}
    return {
        name: value.isoformat() if isinstance(value, date) else str(value)
        for name, value in values.items()
        if name not in without
        and isinstance(name, str)
        and isinstance(value, str | int | float | date)
        and is_unicode(name)
        and is_unicode(str(value))
    }


def shown(value: Any) -> str:
    """A value as messages show it: not megabytes of it."""
    text = repr(value[:200]) if isinstance(value, str | bytes | list) else repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"


def _wrong(record: Record, key: str, place: Place, defects: Defects, expected: str) -> None:
    found = "is missing" if key not in record else f"is {shown(record[key])}"
    defects.add(f"bad {key}", f"{place}: field {key!r} {found}, expected {expected}")
