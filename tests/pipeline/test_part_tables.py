"""Tables of corpus, queries and qrels: what a row says, and what a person says of the columns."""

import json
from pathlib import Path
from typing import Any

import pytest

from strop.pipeline.data.imported import Imported
from strop.pipeline.data.importing import Request, import_files
from strop.pipeline.errors import InputError

TOPICS = ("apples", "boats", "clouds", "doors", "eels", "forts", "goats", "hats", "inns", "jars")


def write(folder: Path, qrels: str, **of_queries: Any) -> Path:
    passages = [{"passage_id": f"d{t}", "text": f"{t} are things"} for t in TOPICS]
    queries = [{"query_id": f"q{t}", "text": f"what are {t}", **of_queries} for t in TOPICS]
    for name, records in (("corpus.jsonl", passages), ("queries.jsonl", queries)):
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "qrels.csv").write_text(qrels)
    return folder


def qrels(column: str, *, grade_of_test: int = 1) -> str:
    train = "".join(f"q{topic},d{topic},1,train\n" for topic in TOPICS[:6])
    test = "".join(f"q{topic},d{topic},{grade_of_test},test\n" for topic in TOPICS[6:])
    return f"query_id,passage_id,grade,{column}\n{train}{test}"


def load(folder: Path, *columns: str) -> Imported:
    request = Request.checked("table", str(folder), list(columns), {"dev_share": 0.3})
    return import_files(request, write_corpus=lambda table: None)


def refusal(folder: Path, *columns: str) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, *columns)
    return str(caught.value)


@pytest.mark.parametrize(("column", "said"), [("split", ()), ("part", ("split=part",))])
def test_qrels_say_the_split_of_every_row(
    tmp_path: Path, column: str, said: tuple[str, ...]
) -> None:
    found = load(write(tmp_path, qrels(column)), *said)
    split = dict(zip(*(found.queries[c].to_pylist() for c in ("query_id", "split")), strict=True))
    assert {query for query, name in split.items() if name == "test"} == {
        f"q{topic}" for topic in TOPICS[6:]
    }


def test_a_split_of_qrels_that_is_none_or_has_no_positive_is_told(tmp_path: Path) -> None:
    told = refusal(write(tmp_path, qrels("split").replace("test", "exam")))
    assert "qrels.csv line 8: field 'split' is 'exam', expected train, dev, gate or test" in told
    told = refusal(write(tmp_path, qrels("split", grade_of_test=0)))
    assert "qrels.csv split test: no judgement has a grade above 0" in told


def test_optional_cells_of_csv_may_be_empty(tmp_path: Path) -> None:
    folder = write(tmp_path, qrels("part"))
    for name, columns in (
        ("corpus", "passage_id,parent_id,text"),
        ("queries", "query_id,weight,group_id,text"),
    ):
        path = folder / f"{name}.jsonl"
        records = map(json.loads, path.read_text().splitlines())
        rows = [",".join(record.get(c, "") for c in columns.split(",")) for record in records]
        path.with_suffix(".csv").write_text("\n".join([columns, *rows]) + "\n")
        path.unlink()
    found = load(folder)
    assert set(found.queries["weight"].to_pylist()) == {1.0}
    assert found.queries["group_id"].equals(found.queries["query_id"])
    assert not found.judges_documents


def test_a_named_column_that_no_file_has_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, qrels("part"), trust=0.5)
    assert set(load(folder, "weight=trust").queries["weight"].to_pylist()) == {0.5}
    assert "no column 'prat' (--column split=prat) in qrels, expected one of 'query_id'" in refusal(
        folder, "split=prat"
    )
    assert "no column 'trust' (--column split=trust) in qrels" in refusal(folder, "split=trust")
    assert "only rows of pairs have a negative; corpus, queries and qrels have" in refusal(
        folder, "negative=text"
    )
