"""JSON lines that are read by column, and those that are left to a closer look."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.pipeline.data.json_columns import text_columns
from strop.pipeline.data.line_form import cut_texts, form_of

NAMES = ("_id", "title", "text")
GOOD = b'{"_id": "a", "text": "b"}'


def rows(*lines: bytes, end: bytes = b"\n") -> list[dict[str, str | None]] | None:
    found = text_columns(b"\n".join(lines) + end, NAMES)
    return None if found is None else found.to_pylist()


def test_texts_are_read_by_name_and_other_fields_passed_over() -> None:
    line = '{"text": "b\\n\\u00e9\\ud83d\\ude00 é", "x": [{"_id": 1}], "_id": "a", "title": null}'
    expected = {"_id": "a", "title": None, "text": "b\né😀 é"}
    assert rows(line.encode(), GOOD) == [expected, {"_id": "a", "title": None, "text": "b"}]
    assert rows(GOOD, GOOD, end=b"") == 2 * [{"_id": "a", "title": None, "text": "b"}]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"[1]",
        b"{",
        b'{"_id": 1, "text": "b"}',
        b'{"_id": "a", "text": ["b"]}',
        b'{"_id": "a", "text": "b", "text": "c"}',
        b'{"_id": "a", "text": "half \\ud83d"}',
        b'{"_id": "a", "text": "b", "x": "half \\ud83d"}',
        b'{"_id": "a", "text": "\xff"}',
        b'{"_id": "a", "text": "b", "x": "\xff"}',
        b'{"_id": "a", "text": "b", "x": "\xed\xa0\x80"}',
        b'{"_id": "a", "text": "a\tb"}',
        b'{"_id": "a", "text": "b"}\r',
        b'{"_id": "a", "text": "b"}}',
        b'{{"_id": "a", "text": "b"}',
        b'{"_id": "a", "text": "b"} {"_id": "c", "text": "d"}',
        b'{"_id": "a",\n"text": "b"}',
        b'{"_id": "a", "x": [{}\n{"text": "b"}',
        b'{"_id": "a", "text": "b"} {"_id": "c", "text": "d"}\n',
        b'{"_id": "a", "text": "b"} {"_id": "c",\n"text": "d"}',
    ],
)
def test_lines_that_need_a_closer_look_are_told(line: bytes) -> None:
    assert rows(GOOD, GOOD)
    assert rows(line, GOOD) is None
    assert rows(GOOD, line) is None


OBJECTS = st.dictionaries(
    st.sampled_from([*NAMES, "other"]), st.none() | st.text() | st.integers() | st.lists(st.text())
)


@given(st.lists(OBJECTS, min_size=1), st.booleans())
def test_what_is_read_is_what_the_parser_of_python_reads(
    records: list[dict[str, object]], escaped: bool
) -> None:
    lines = [json.dumps(record, ensure_ascii=escaped) for record in records]
    block = "\n".join(lines).encode("utf-8", "surrogatepass")
    found = text_columns(block, NAMES)
    if found is not None:
        assert found.to_pylist() == [{name: one.get(name) for name in NAMES} for one in records]
    values = [value for one in records for name, value in one.items() if name != "other"]
    if all(value is None or isinstance(value, str) for value in values) and len(records) > 0:
        assert found is not None


def test_lines_written_alike_are_cut_and_the_others_parsed_in_order() -> None:
    alike = [b'{"_id": "%d", "text": "t", "m": {"text": "other", "n": 1}}' % n for n in range(9)]
    odd = {
        2: b'{"_id": "2", "text": "a \\"quote\\"", "m": {"text": "other", "n": 1}}',
        5: b'{"text": "t", "_id": "5", "m": {"text": "other", "n": 1}}',
        6: b'{"_id": "6", "text": "t", "m": {"text": "other", "n": 2}}',
        8: b'{"_id": "8", "text": "t"}',
    }
    lines = [odd.get(number, line) for number, line in enumerate(alike)]
    cut = cut_texts(b"\n".join(lines), NAMES)
    assert cut is not None
    assert cut.others.tolist() == list(odd)
    texts = {2: 'a "quote"'}
    expected = [{"_id": str(n), "title": None, "text": texts.get(n, "t")} for n in range(9)]
    assert rows(*lines) == expected


@pytest.mark.parametrize(
    "line",
    [
        b'{"_id": 1, "text": "b"}',
        b'{"_id": "a", "text": null}',
        b'{"_id": "a", "text": ["b"]}',
        b'{"_id": "a", "text": "b", "text": "c"}',
        b'{"_id": "a" "text": "b"}',
        b'["_id", "text"]',
        b'"_id"',
        b"{}",
        b"[" * 100_000,
    ],
)
def test_lines_without_texts_that_can_be_cut_have_no_form(line: bytes) -> None:
    assert form_of(line, NAMES) is None


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
LINES = st.sampled_from(
    [
        '{{"_id": {0}, "title": {1}, "text": {2}}}',
        '{{"text":{0},"more":{{"text":{1},"n":[1,{{}}]}},"_id":{2}}}',
        '{{ "x" : [{0}, "_id"] , "text" : {1}, "y": null, "title": {2} }}',
    ]
)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1), LINES, st.booleans(), st.data())
def test_what_is_cut_is_what_the_parser_of_python_reads(
    texts: list[tuple[str, str, str]], line: str, escaped: bool, data: st.DataObject
) -> None:
    lines = [
        data.draw(st.just(line) | LINES).format(
            *(json.dumps(text, ensure_ascii=escaped) for text in row)
        )
        for row in texts
    ]
    found = text_columns("\n".join(lines).encode(), NAMES)
    assert found is not None
    read = map(json.loads, lines)
    assert found.to_pylist() == [{name: one.get(name) for name in NAMES} for one in read]
