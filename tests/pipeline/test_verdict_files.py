import csv
import io
import json
from pathlib import Path

import pytest

from strop.pipeline.errors import InputError
from strop.pipeline.review.verdict_files import Given, read_verdicts, written

COLUMNS = ("query_id", "passage_id", "verdict", "query")
NASTY = 'a "quoted", text\nof two lines; =1+1 <script>'


def rows(*verdicts: str | None) -> list[dict[str, str | None]]:
    return [
        {"query_id": f"q{number}", "passage_id": "p", "verdict": verdict, "query": NASTY}
        for number, verdict in enumerate(verdicts, start=1)
    ]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_what_is_written_reads_back_with_the_line_of_every_verdict(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"verdicts{suffix}"
    path.write_bytes(written(rows("relevant", None, "not relevant"), COLUMNS, suffix))
    # In CSV every row takes two lines, because a text has two.
    lines = (2, 6) if suffix == ".csv" else (1, 3)
    assert read_verdicts(path) == [
        Given(lines[0], "q1", "p", "relevant"),
        Given(lines[1], "q3", "p", "not relevant"),
    ]


@pytest.mark.parametrize("text", ["word " * 30_000, "a\rb", "a\r\nb", "\r", 'a"\r', "a\u2028b"])
def test_any_text_of_a_passage_reads_back(tmp_path: Path, text: str) -> None:
    before = csv.field_size_limit(131_072)  # Python's own, whatever was read before
    row = {"query_id": "q1", "passage_id": "p", "verdict": "relevant", "query": text}
    (tmp_path / "out.csv").write_bytes(written([row], COLUMNS, ".csv"))
    assert read_verdicts(tmp_path / "out.csv") == [Given(2, "q1", "p", "relevant")]
    csv.field_size_limit(before)


def test_the_formats_are_what_other_tools_read() -> None:
    (record,) = csv.DictReader(io.StringIO(written(rows("unsure"), COLUMNS, ".csv").decode()))
    assert record == {"query_id": "q1", "passage_id": "p", "verdict": "unsure", "query": NASTY}
    assert json.loads(written(rows(None), COLUMNS, ".jsonl")) == {**record, "verdict": None}


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\tx", "'=1", "''-2"])
def test_a_spreadsheet_carries_nothing_out_and_ids_come_back(tmp_path: Path, text: str) -> None:
    row = {
        "query_id": text,
        "passage_id": "it's",
        "verdict": "unsure",
        "query": text,
        "score": -1.5,
    }
    data = written([row], [*COLUMNS, "score"], ".csv")
    (record,) = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert record["query"] == f"'{text}"
    assert (record["passage_id"], record["score"]) == ("it's", "-1.5")
    (tmp_path / "out.csv").write_bytes(data)
    assert read_verdicts(tmp_path / "out.csv") == [Given(2, text, "it's", "unsure")]
    assert json.loads(written([row], COLUMNS, ".jsonl"))["query"] == text


def test_a_spreadsheet_s_file_reads_too(tmp_path: Path) -> None:
    path = tmp_path / "from-a-spreadsheet.csv"
    path.write_bytes("\ufeffverdict,note,query_id,passage_id\r\nunsure,ü,q,p\r\n\r\n".encode())
    assert read_verdicts(path) == [Given(2, "q", "p", "unsure")]


HEADER = "query_id,passage_id,verdict\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "line 1: nothing, expected a header"),
        ("a.csv", "query_id;passage_id;verdict\n", "line 1: no column query_id among"),
        ("a.csv", "query_id,passage_id,verdict,verdict\n", "line 1: 2 times the column verdict"),
        ("a.csv", HEADER + "q,p,relevant,x\n", "line 2: 4 fields, expected 3"),
        ("a.csv", HEADER + "q,p,relevant\nq,o,maybe\n", "line 3: verdict 'maybe' is unknown"),
        ("a.csv", HEADER + ",p,relevant\n", "line 2: query_id is '', expected an id"),
        ("a.csv", HEADER + 'q,p,"relevant\n', "line 2: not CSV"),
        ("a.csv", HEADER + "q,p,unsure\nq,p,relevant\n", "line 3: verdict 'relevant' of query"),
        ("a.jsonl", '{"query_id": "q"', 'line 1: \'{"query_id": "q"\' is not JSON'),
        ("a.jsonl", "\n[1]\n", "line 2: '[1]', expected a JSON object"),
        ("a.jsonl", '{"query_id": "q", "passage_id": "p"}', "line 1: no key 'verdict'"),
        ("a.jsonl", '{"query_id": 1, "passage_id": "p", "verdict": ""}', "query_id is 1"),
        ("a.jsonl", '{"query_id": "q", "passage_id": "p", "verdict": 1}', "verdict 1 is unknown"),
        ("a.xlsx", "", "ends in '.xlsx', expected .csv or .jsonl"),
    ],
)
def test_a_fault_is_one_line_with_file_line_what_was_found_and_what_was_expected(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_verdicts(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}")
    assert message in str(caught.value)
    assert "expected" in str(caught.value) or "not CSV" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_verdicts(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"q,p,relev\xe4nt\n")
    with pytest.raises(InputError, match=r"latin\.csv line 2: byte 0xe4, expected UTF-8"):
        read_verdicts(tmp_path / "latin.csv")
