"""Reads a folder in BEIR layout: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from strop.artifacts.schemas import CORPUS
from strop.pipeline.data.validation import Defects
from strop.pipeline.errors import InputError

SPLITS = ("train", "dev", "gate", "test")
BATCH_ROWS = 8192
GRADE = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True)
class Judgement:
    """One line of a qrels file."""

    query_id: str
    passage_id: str
    grade: int
    split: str
    line: int


@dataclass(frozen=True)
class Query:
    """One line of the queries: its text, the group it is split with, and what else is known."""

    text: str
    group_id: str
    fields: dict[str, str]


def beir_files(folder: Path, splits: tuple[str, ...] = SPLITS) -> dict[str, Path]:
    """The files of a BEIR folder by their relative name; raises `InputError` when some lack.

    Of ``splits`` those are taken that there are.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a data set in BEIR layout")
    files = {name: folder / name for name in ("corpus.jsonl", "queries.jsonl")}
    files |= {
        f"qrels/{split}.tsv": folder / "qrels" / f"{split}.tsv"
        for split in splits
        if (folder / "qrels" / f"{split}.tsv").exists()
    }
    for name, path in files.items():
        if not path.is_file():
            raise InputError(
                f"{path}: missing; a BEIR folder has corpus.jsonl, queries.jsonl and "
                f"qrels/{{{','.join(SPLITS)}}}.tsv ({name} was not found)"
            )
    if not any(name.startswith("qrels/") for name in files):
        names = [f"{split}.tsv" for split in splits if split != "gate" or len(splits) == 1]
        expected = " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
        raise InputError(f"{folder / 'qrels'}: no qrels; expected {expected}")
    return files


def read_corpus(
    path: Path, defects: Defects, write: Callable[[pa.Table], object]
) -> dict[str, int]:
    """Write the corpus in batches; returns each passage id's row.

    Only ids are held in memory. Defects: duplicate ids, fields that are missing, empty or no text.
    """
    rows: dict[str, int] = {}
    batch: list[tuple[str, str, str]] = []
    for line, record in _json_lines(path, defects):
        passage_id = _text_field(record, "_id", path, line, defects)
        text = _text_field(record, "text", path, line, defects, may_be_empty=True)
        title = _optional_title(record, path, line, defects)
        if passage_id is None or text is None or title is None:
            continue
        if not (text.strip() or title.strip()):
            defects.add(
                "empty passage", f"{path} line {line}: passage {passage_id!r} has neither title "
                "nor text; give it a text or remove the line"
            )  # fmt: skip
        if passage_id in rows:
            defects.add("duplicate passage", _duplicate(path, line, "passage", passage_id))
            continue
        rows[passage_id] = len(rows)
        batch.append((passage_id, title, text))
        if len(batch) == BATCH_ROWS:
            write(_corpus_table(batch))
            batch = []
    if batch:
        write(_corpus_table(batch))
    if not rows:
        defects.add("empty corpus", f"{path}: no passages; expected one JSON object a line")
    return rows


def read_queries(path: Path, defects: Defects) -> dict[str, Query]:
    """Queries by id; the group is ``metadata.group_id``, or the query's own id when not given.

    Other texts, numbers and truth values of ``metadata`` are kept as the query's fields.
    """
    queries: dict[str, Query] = {}
    for line, record in _json_lines(path, defects):
        query_id = _text_field(record, "_id", path, line, defects)
        text = _text_field(record, "text", path, line, defects)
        if query_id is None or text is None:
            continue
        if query_id in queries:
            defects.add("duplicate query", _duplicate(path, line, "query", query_id))
            continue
        fields = _fields(record.get("metadata"))
        queries[query_id] = Query(text, fields.pop("group_id", query_id), fields)
    if not queries:
        defects.add("empty queries", f"{path}: no queries; expected one JSON object a line")
    return queries


def read_qrels(
    path: Path,
    split: str,
    defects: Defects,
    *,
    queries: dict[str, Query],
    passages: dict[str, int],
) -> list[Judgement]:
    """The judgements of one split; unknown ids, bad grades and repeated pairs are defects."""
    judgements = []
    seen, num_lines = set(), 0
    for line, fields in _tab_lines(path, defects):
        num_lines += 1
        query_id, passage_id, grade_text = fields
        grade = _grade(grade_text, path, line, defects)
        known = _known(query_id, passage_id, path, line, defects, queries, passages)
        if (query_id, passage_id) in seen:
            defects.add(
                "repeated judgement", f"{path} line {line}: query {query_id!r} and passage "
                f"{passage_id!r} are judged twice; remove one line"
            )  # fmt: skip
        elif grade is not None and known:
            seen.add((query_id, passage_id))
            judgements.append(Judgement(query_id, passage_id, grade, split, line))
    all_good = len(judgements) == num_lines
    if all_good and not any(judgement.grade > 0 for judgement in judgements):
        defects.add(
            "no positive", f"{path}: no judgement has a grade above 0, so that no query of "
            f"{split} can be measured; add some or remove the file"
        )  # fmt: skip
    return judgements


def _fields(metadata: Any) -> dict[str, str]:
    """The single values of a query's metadata, as texts; lists and objects cut no slices."""
    if not isinstance(metadata, dict):
        return {}
    return {
        name: str(value)
        for name, value in metadata.items()
        if isinstance(value, str | int | float) and _is_unicode(name) and _is_unicode(str(value))
    }


def _json_lines(path: Path, defects: Defects) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if not raw.strip():
                continue
            try:
                record = json.loads(raw)
            except ValueError as error:
                defects.add("bad JSON", f"{path} line {number}: not JSON ({error})")
                continue
            if isinstance(record, dict):
                yield number, record
            else:
                found = type(record).__name__
                defects.add("bad JSON", f"{path} line {number}: {found}, expected a JSON object")


def _text_field(
    record: dict[str, Any],
    key: str,
    path: Path,
    line: int,
    defects: Defects,
    *,
    may_be_empty: bool = False,
) -> str | None:
    value = record.get(key)
    if isinstance(value, str) and (may_be_empty or value.strip()) and _is_unicode(value):
        return value
    if key == "_id" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    found = "is missing" if key not in record else f"is {value!r}"
    defects.add(f"bad {key}", f"{path} line {line}: field {key!r} {found}, expected a text")
    return None


def _is_unicode(text: str) -> bool:
    """JSON's escapes can spell half a surrogate pair, which no UTF-8 file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _optional_title(record: dict[str, Any], path: Path, line: int, defects: Defects) -> str | None:
    if record.get("title") is None:
        return ""
    return _text_field(record, "title", path, line, defects, may_be_empty=True)


def _duplicate(path: Path, line: int, what: str, identifier: str) -> str:
    return (
        f"{path} line {line}: {what} id {identifier!r} was used before; ids must be unique, "
        "rename or remove one"
    )


def _corpus_table(rows: list[tuple[str, str, str]]) -> pa.Table:
    ids, titles, texts = zip(*rows, strict=True)
    return pa.table(
        {
            "passage_id": pa.array(ids, pa.string()),
            "title": pa.array(titles, pa.string()),
            "text": pa.array(texts, pa.string()),
            "parent_id": pa.nulls(len(rows), pa.string()),
        },
        schema=CORPUS,
    )


def _tab_lines(path: Path, defects: Defects) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, raw in enumerate(file, 1):
            fields = raw.rstrip("\r\n").split("\t")
            if number == 1 and fields[-1].strip() == "score":
                continue
            if fields == [""]:
                continue
            if len(fields) != 3:
                defects.add(
                    "bad qrels line",
                    f"{path} line {number}: {len(fields)} tab-separated fields, expected "
                    "query-id, corpus-id, score",
                )
                continue
            yield number, fields


def _grade(text: str, path: Path, line: int, defects: Defects) -> int | None:
    if GRADE.fullmatch(text.strip()):
        return int(text)
    defects.add("bad grade", f"{path} line {line}: score {text!r}, expected a whole number")
    return None


def _known(
    query_id: str,
    passage_id: str,
    path: Path,
    line: int,
    defects: Defects,
    queries: dict[str, Query],
    passages: dict[str, int],
) -> bool:
    if query_id not in queries:
        defects.add(
            "unknown query",
            f"{path} line {line}: query {query_id!r} is not in queries.jsonl "
            f"({len(queries):,} queries); remove the line or add the query",
        )
    if passage_id not in passages:
        defects.add(
            "unknown passage",
            f"{path} line {line}: passage {passage_id!r} is not in the corpus "
            f"({len(passages):,} passages); remove the line or import the missing passage",
        )
    return query_id in queries and passage_id in passages
