"""Reads a folder in BEIR layout: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv."""

import pyarrow as pa

from strop.artifacts.schemas import CORPUS
from strop.pipeline.data import fields
from strop.pipeline.data.collector import SPLITS, Collector, Query
from strop.pipeline.data.json_columns import text_columns
from strop.pipeline.data.locations import Location
from strop.pipeline.data.readers.files import SPLIT_WORDS, Files, plain_name, with_compression
from strop.pipeline.data.readers.named_fields import NamedFields
from strop.pipeline.data.readers.options import Options
from strop.pipeline.data.text_files import Place, json_lines, json_records, raw_blocks, utf8_lines
from strop.pipeline.data.validation import Defects
from strop.pipeline.errors import InputError

MEANINGS = ("weight", "group_id", "parent_id")


def beir_files(folder: Location, options: Options, splits: tuple[str, ...] = SPLITS) -> Files:
    """The files of a BEIR folder by their relative name; raises `InputError` when some lack.

    Of ``splits`` those are taken that there are.
    """
    if not folder.is_folder():
        raise InputError(f"{folder}: no such folder; expected a data set in BEIR layout")
    for name in options.columns:
        if name not in MEANINGS:
            raise InputError(
                f"{options.told(name)}: BEIR says itself which field that is, expected one of "
                f"{', '.join(MEANINGS)}"
            )
    files = {}
    for name in ("corpus.jsonl", "queries.jsonl"):
        found = with_compression(folder / name)
        if found is None:
            raise InputError(
                f"{folder / name}: missing; a BEIR folder has corpus.jsonl, queries.jsonl and "
                f"qrels/{{{','.join(SPLITS)}}}.tsv ({name} was not found)"
            )
        files[name] = found
    qrels = _qrels_files(folder / "qrels", splits)
    if not qrels:
        names = [f"{split}.tsv" for split in splits if split != "gate" or len(splits) == 1]
        expected = " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
        raise InputError(f"{folder / 'qrels'}: no qrels; expected {expected}")
    return files | qrels


def _qrels_files(folder: Location, splits: tuple[str, ...]) -> Files:
    """The qrels of ``splits``, by the name in BEIR's own words; raises `InputError` for two of one.

    A split may be called by another of its words: ``validation.tsv`` is dev.
    """
    tables = _tables(folder)
    found: Files = {}
    for split in splits:
        words = (word for word, meant in SPLIT_WORDS.items() if meant == split)
        there = [tables[f"{word}.tsv"] for word in words if f"{word}.tsv" in tables]
        if len(there) > 1:
            raise InputError(
                f"{there[1]}: {split} is also in {there[0].name}; expected one file a split, "
                "remove or merge one"
            )
        if there:
            found[f"qrels/{split}.tsv"] = there[0]
    return found


def _tables(folder: Location) -> Files:
    """The files of a folder that end in .tsv, by their plain name; not compressed ones first."""
    found: Files = {}
    for name in folder.names() if folder.is_folder() else ():
        if plain_name(name).endswith(".tsv"):
            found.setdefault(plain_name(name), folder / name)
    return found


def warn_of_unread(folder: Location, defects: Defects) -> None:
    """Warn of qrels whose name says no split: nobody reads them."""
    for name, path in _tables(folder / "qrels").items():
        if name.removesuffix(".tsv") not in SPLIT_WORDS:
            defects.warn(
                "qrels not read", f"{path}: not read; expected train.tsv, dev.tsv, gate.tsv or "
                "test.tsv"
            )  # fmt: skip


def read_beir(files: Files, options: Options, into: Collector) -> None:
    """Read corpus, queries and qrels."""
    read_corpus(files["corpus.jsonl"], options, into)
    read_questions(files, options, into)


def read_questions(files: Files, options: Options, into: Collector) -> None:
    """Read queries and qrels alone."""
    _read_queries(files["queries.jsonl"], options, into)
    for name, path in files.items():
        if name.startswith("qrels/"):
            _read_qrels(path, name.removeprefix("qrels/").removesuffix(".tsv"), into)


def read_corpus(path: Location, options: Options, into: Collector) -> None:
    """Passages with id, text and title, and the parent document where a field is named for it."""
    parent = options.column("parent_id")
    named = NamedFields(options, ("parent_id",))
    for place, block in raw_blocks(path, into.defects):
        plain = None if parent else _plain_passages(block)
        if plain:
            into.passages.add_all(place, plain)
            continue
        for record in json_records(block, place, into.defects):
            named.look(record, record.get("metadata"))
            _read_passage(record, parent, place, into)
    named.refuse_unseen(path, into.defects)
    if not len(into.passages):
        into.defects.add("empty corpus", f"{path}: no passages; expected one JSON object a line")


def _plain_passages(block: bytes) -> pa.Table | None:
    """Ids, titles and texts of lines that need no closer look; None where any does."""
    found = text_columns(block, ("_id", "title", "text"))
    if found is None:
        return None
    titles = found["title"].fill_null("") if found["title"].null_count else found["title"]
    plain = pa.table([found["_id"], titles, found["text"]], names=CORPUS.names[:3])
    return (
        plain if fields.are_ids(plain["passage_id"]) and fields.are_texts(plain["text"]) else None
    )


def _read_passage(record: fields.Record, parent: str | None, place: Place, into: Collector) -> None:
    defects = into.defects
    passage_id = fields.id_field(record, "_id", place, defects)
    text = fields.text_field(record, "text", place, defects, may_be_empty=True)
    title = fields.optional_text(record, "title", place, defects)
    if passage_id is None or text is None or title is None:
        return
    parent_id = _named(record, parent, place, into) if parent else None
    into.passages.add(place, passage_id, text, title, parent_id or None)


def _read_queries(path: Location, options: Options, into: Collector) -> None:
    """Queries; the group is ``metadata.group_id``, or the query's own id when not given.

    Other texts, numbers and truth values of ``metadata`` are kept as the query's fields.
    """
    named = NamedFields(options, ("weight", "group_id"))
    for place, record in json_lines(path, into.defects):
        named.look(record, record.get("metadata"))
        query_id = fields.id_field(record, "_id", place, into.defects)
        text = fields.text_field(record, "text", place, into.defects)
        weight = _weight(record, options.column("weight"), place, into)
        if query_id is None or text is None or weight is None:
            continue
        known = fields.single_values(record.get("metadata"))
        group = _group(record, known, options.column("group_id"), place, into)
        into.query(
            place, query_id, Query(text, query_id if group is None else group, known, weight)
        )
    named.refuse_unseen(path, into.defects)
    if not into.queries:
        into.defects.add("empty queries", f"{path}: no queries; expected one JSON object a line")


def _group(
    record: fields.Record, known: dict[str, str], name: str | None, place: Place, into: Collector
) -> str | None:
    """The group, taken out of what the metadata say, or in the field that is named; else None."""
    group = known.pop(name or "group_id", None)
    if group is None and name:
        return _named(record, name, place, into) or None
    return group


def _weight(record: fields.Record, name: str | None, place: Place, into: Collector) -> float | None:
    """The query's weight in the field, or the metadata, that a person named; else 1."""
    if name is None:
        return 1.0
    return fields.weight_field(_holder(record, name), name, place, into.defects)


def _named(record: fields.Record, name: str, place: Place, into: Collector) -> str | None:
    return fields.optional_id(_holder(record, name), name, place, into.defects)


def _holder(record: fields.Record, name: str) -> fields.Record:
    """The record itself, or its metadata where the field is there."""
    metadata = record.get("metadata")
    return metadata if isinstance(metadata, dict) and name in metadata else record


def _read_qrels(path: Location, split: str, into: Collector) -> None:
    """The judgements of one split: query id, passage id and grade, with tabs between."""
    into.judged_files[str(path)] = split
    for place, line in utf8_lines(path, into.defects):
        values = line.split("\t")
        if place.number == 1 and values[-1].strip() == "score":
            continue
        if len(values) != 3:
            into.defects.add(
                "bad qrels line",
                f"{place}: {len(values)} tab-separated fields, expected query-id, corpus-id, score",
            )
            continue
        query_id, passage_id, grade = values
        number = fields.grade_field({"score": grade}, "score", place, into.defects)
        if number is not None:
            into.judgement(place, query_id, passage_id, number, split)
