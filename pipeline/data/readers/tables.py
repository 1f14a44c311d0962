"""Reads Parquet, JSONL, CSV and TSV: rows of pairs, or a corpus, queries and qrels of their own."""

from collections.abc import Mapping, Sequence
from functools import partial

from strop.pipeline.data import fields
from strop.pipeline.data.collector import Collector, Query
from strop.pipeline.data.locations import Location
from strop.pipeline.data.readers.files import Files, split_of
from strop.pipeline.data.readers.options import Options
from strop.pipeline.data.readers.pairs import NAMES, find_layout, read_pairs, split_field
from strop.pipeline.data.readers.rows import (
    first_columns,
    is_table,
    null_where_empty,
    rows_with_meaning,
)
from strop.pipeline.errors import InputError

ENDINGS = ".parquet, .arrow, .jsonl, .csv or .tsv"


def table_files(path: Location, options: Options) -> Files:
    """A table of pairs, or the tables of a folder."""
    if path.is_folder():
        names = [name for name in path.names() if is_table(name)]
        if not names:
            raise InputError(f"{path}: no tables in this folder, expected {ENDINGS}")
        return {name: path / name for name in names}
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder, expected {ENDINGS}")
    if not is_table(path.name):
        raise InputError(f"{path}: not a table by its ending, expected {ENDINGS}")
    return {path.name: path}


def read_tables(files: Files, options: Options, into: Collector) -> None:
    """Read a corpus, queries and qrels where files begin with these words, else rows of pairs."""
    parts = {
        part: {name: path for name, path in files.items() if name.lower().startswith(part)}
        for part in ("corpus", "queries", "qrels")
    }
    if not parts["corpus"]:
        read_pair_files(files, options, into, in_order=False)
        return
    for part in ("queries", "qrels"):
        if not parts[part]:
            raise InputError(
                f"{next(iter(files.values()))}: a corpus without {part}, expected a table {part}.*"
            )
    _refuse_unknown(parts, options)
    into.repeats = into.passages.repeats = False
    for path in parts["corpus"].values():
        _read_corpus(path, options, into)
    for path in parts["queries"].values():
        _read_queries(path, options, into)
    for name, path in parts["qrels"].items():
        _read_qrels(path, split_of(name) or "train", options, into)


def read_pair_files(files: Files, options: Options, into: Collector, *, in_order: bool) -> None:
    """Read rows of pairs from every file; a file's name says the split, and train if it doesn't."""
    for name, path in files.items():
        layout_of = partial(find_layout, options=options, file=str(path), in_order=in_order)
        for place, row, layout in rows_with_meaning(path, into.defects, layout_of):
            record = null_where_empty(row, path, layout.optional)
            read_pairs(record, layout, split_of(name) or "train", place, into)


def has_grades(files: Files, options: Options) -> bool:
    """Whether rows of pairs come with grades or labels."""
    return "grade" in options.columns or any(
        name in NAMES["grade"] for path in files.values() for name in first_columns(path)
    )


CORPUS = {"passage_id": ("passage_id", "_id", "id"), "passage": ("text", "passage", "contents")}
QUERIES = {"query_id": ("query_id", "_id", "id"), "query": ("text", "query", "question")}
QRELS = {
    "query_id": ("query_id", "query-id"),
    "passage_id": ("passage_id", "corpus-id"),
    "grade": ("grade", "score", "relevance"),
}
Wanted = Mapping[str, tuple[str, ...]]
MEANINGS = {
    "corpus": (*CORPUS, "title", "parent_id"),
    "queries": (*QUERIES, "weight", "group_id"),
    "qrels": (*QRELS, "split"),
}
"""What is read from the columns of each part."""


def _refuse_unknown(parts: Mapping[str, Files], options: Options) -> None:
    """Raise `InputError` for a named column that is in no file of the parts it could be in."""
    if not options.columns:
        return
    heads = {
        part: [name for path in files.values() for name in first_columns(path)]
        for part, files in parts.items()
    }
    for meaning, column in options.columns.items():
        read_from = [part for part, meanings in MEANINGS.items() if meaning in meanings]
        named = options.told(meaning)
        if not read_from:
            known = dict.fromkeys(name for meanings in MEANINGS.values() for name in meanings)
            raise InputError(
                f"{named}: only rows of pairs have a {meaning}; corpus, queries and qrels have "
                f"{', '.join(known)}"
            )
        if not any(column in heads[part] for part in read_from):
            there = dict.fromkeys(name for part in read_from for name in heads[part])
            raise InputError(
                f"{next(iter(parts[read_from[0]].values()))}: no column {column!r} ({named}) in "
                f"{' or '.join(read_from)}, expected one of {', '.join(map(repr, there))}"
            )


def _columns(
    names: Sequence[str], *, wanted: Wanted, options: Options, file: str
) -> dict[str, str]:
    """The column of each wanted meaning; raises `InputError` for one that is not there."""
    found = {name: column for name, column in options.columns.items() if column in names}
    for meaning, usual in wanted.items():
        column = found.get(meaning) or next((name for name in usual if name in names), None)
        if column is None:
            raise InputError(
                f"{file}: no column for {meaning} among {', '.join(map(repr, names))}; say which "
                f"it is with {options.way(meaning)}"
            )
        found[meaning] = column
    return found


def _read_corpus(path: Location, options: Options, into: Collector) -> None:
    columns_of = partial(_columns, wanted=CORPUS, options=options, file=str(path))
    for place, row, columns in rows_with_meaning(path, into.defects, columns_of):
        title_key, parent_key = columns.get("title", "title"), columns.get("parent_id", "parent_id")
        record = null_where_empty(row, path, (title_key, parent_key))
        passage_id = fields.id_field(record, columns["passage_id"], place, into.defects)
        text = fields.text_field(record, columns["passage"], place, into.defects, may_be_empty=True)
        title = fields.optional_text(record, title_key, place, into.defects)
        parent = fields.optional_id(record, parent_key, place, into.defects)
        if passage_id is not None and text is not None and title is not None:
            into.passages.add(place, passage_id, text, title, parent or None)


def _read_queries(path: Location, options: Options, into: Collector) -> None:
    columns_of = partial(_columns, wanted=QUERIES, options=options, file=str(path))
    for place, row, columns in rows_with_meaning(path, into.defects, columns_of):
        weight_key, group_key = columns.get("weight", "weight"), columns.get("group_id", "group_id")
        record = null_where_empty(row, path, (weight_key, group_key))
        query_id = fields.id_field(record, columns["query_id"], place, into.defects)
        text = fields.text_field(record, columns["query"], place, into.defects)
        weight = fields.weight_field(record, weight_key, place, into.defects)
        group = fields.optional_id(record, group_key, place, into.defects)
        if query_id is not None and text is not None and weight is not None:
            known = fields.single_values(record, without=(*columns.values(), weight_key, group_key))
            into.query(place, query_id, Query(text, group or query_id, known, weight))


def _read_qrels(path: Location, split: str, options: Options, into: Collector) -> None:
    """Judgements of the split that their row says, or else of the file's."""
    columns_of = partial(_qrels_columns, options=options, file=str(path))
    parts, by_row = set[str](), False
    for place, record, columns in rows_with_meaning(path, into.defects, columns_of):
        by_row = "split" in columns
        query_id = fields.id_field(record, columns["query_id"], place, into.defects)
        passage_id = fields.id_field(record, columns["passage_id"], place, into.defects)
        grade = fields.grade_field(record, columns["grade"], place, into.defects)
        part = split_field(record, columns.get("split"), split, place, into)
        if query_id is not None and passage_id is not None and grade is not None and part:
            into.judgement(place, query_id, passage_id, grade, part)
            parts.add(part)
    judged = {f"{path} split {part}": part for part in sorted(parts)}
    into.judged_files |= judged if by_row else {str(path): split}


def _qrels_columns(names: Sequence[str], *, options: Options, file: str) -> dict[str, str]:
    """The columns of qrels; one called split is the split where a person names no other."""
    usual = {"split": "split"} if "split" in names else {}
    return usual | _columns(names, wanted=QRELS, options=options, file=file)
