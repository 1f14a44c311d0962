"""Reads TREC's files: a collection, topics and qrels, in the forms that tracks and MS MARCO use."""

import html
import re
from collections.abc import Iterator

from strop.pipeline.data import fields
from strop.pipeline.data.collector import Collector, Query
from strop.pipeline.data.locations import Location
from strop.pipeline.data.readers.files import Files, plain_name, split_of
from strop.pipeline.data.readers.options import Options
from strop.pipeline.data.text_files import LONGEST_LINE, Place, json_lines, utf8_lines
from strop.pipeline.data.validation import Defects
from strop.pipeline.errors import InputError

PARTS = {
    "collection": ("collection", "corpus", "docs"),
    "topics": ("topics", "queries"),
    "qrels": ("qrels", "qrel"),
}
"""How the files' names begin."""
IDS, TEXTS = ("docid", "docno", "doc_id", "id", "_id", "pid"), ("contents", "text", "body")
TAG = re.compile(r"<[^>]{1,200}>")
NUMBER = re.compile(r"<num>\s*(?:Number:)?\s*([^<\s]+)", re.IGNORECASE)
TITLE = re.compile(r"<title>\s*(?:Topic:)?([^<]*)", re.IGNORECASE)


def trec_files(folder: Location, options: Options) -> Files:
    """The files of a folder whose names begin with collection, topics and qrels."""
    if not folder.is_folder():
        raise InputError(f"{folder}: no such folder; expected collection.*, topics.* and qrels.*")
    if options.columns:
        raise InputError(
            f"{options.told(next(iter(options.columns)))}: TREC's files have no columns"
        )
    names = folder.names()
    found: Files = {}
    for part, words in PARTS.items():
        chosen = [name for name in names if name.lower().startswith(words)]
        if not chosen:
            raise InputError(
                f"{folder}: no file whose name begins with {' or '.join(words)}, expected the "
                f"{part}; its files are {', '.join(names[:8]) or 'none'}"
            )
        found |= {f"{part}/{name}": folder / name for name in chosen}
    return found


def read_trec(files: Files, options: Options, into: Collector) -> None:
    """Read the collection, the topics and the qrels; a name's word says the split, else train."""
    for name, path in files.items():
        part, _, file = name.partition("/")
        kind = plain_name(file.lower()).rpartition(".")[2]
        if part == "collection":
            reader = {"tsv": _tab_collection, "jsonl": _json_collection}.get(
                kind, _marked_documents
            )
            reader(path, into)
        elif part == "topics":
            (_tab_topics if kind == "tsv" else _marked_topics)(path, into)
        else:
            _read_qrels(path, split_of(file) or "train", into)


def _tab_collection(path: Location, into: Collector) -> None:
    """Id and text, or id, title and text, or MS MARCO's id, URL, title and text."""
    for place, line in utf8_lines(path, into.defects):
        values = line.split("\t")
        if not 2 <= len(values) <= 4:
            into.defects.add(
                "bad collection line",
                f"{place}: {len(values)} tab-separated fields, expected id and text, or id, title "
                "and text",
            )
            continue
        passage_id = fields.id_field({"id": values[0]}, "id", place, into.defects)
        if passage_id is not None:
            title = values[-2] if len(values) > 2 else ""
            into.passages.add(place, passage_id, values[-1], title)


def _json_collection(path: Location, into: Collector) -> None:
    for place, record in json_lines(path, into.defects):
        id_key = next((key for key in IDS if key in record), IDS[0])
        text_key = next((key for key in TEXTS if key in record), TEXTS[0])
        passage_id = fields.id_field(record, id_key, place, into.defects)
        text = fields.text_field(record, text_key, place, into.defects, may_be_empty=True)
        title = fields.optional_text(record, "title", place, into.defects)
        if passage_id is not None and text is not None and title is not None:
            into.passages.add(place, passage_id, text, title)


def _marked_documents(path: Location, into: Collector) -> None:
    """``<DOC>`` with ``<DOCNO>``, ``<TITLE>`` or ``<HEADLINE>``, and any number of ``<TEXT>``."""
    for place, block in _blocks(path, "DOC", into.defects):
        passage_id = fields.id_field(
            {"DOCNO": _inside(block, "DOCNO").strip()}, "DOCNO", place, into.defects
        )
        if passage_id is not None:
            title = _plain(_inside(block, "TITLE") or _inside(block, "HEADLINE"))
            into.passages.add(place, passage_id, _plain(_inside(block, "TEXT")), title)


def _tab_topics(path: Location, into: Collector) -> None:
    for place, line in utf8_lines(path, into.defects):
        query_id, tab, text = line.partition("\t")
        found = fields.id_field({"id": query_id}, "id", place, into.defects)
        if not tab or not text.strip():
            into.defects.add("bad topic", f"{place}: {fields.shown(line)}, expected id, tab, text")
        elif found is not None:
            into.query(place, found, Query(text, found))


def _marked_topics(path: Location, into: Collector) -> None:
    """``<top>`` with ``<num>`` and ``<title>``; description and narrative are not the query."""
    for place, block in _blocks(path, "top", into.defects):
        number, title = NUMBER.search(block), TITLE.search(block)
        text = _plain(title[1]) if title else ""
        if number is None or not text:
            missing = "title" if number else "num"
            into.defects.add("bad topic", f"{place}: field {missing!r} is missing, expected a text")
        else:
            into.query(place, number[1], Query(text, number[1]))


def _read_qrels(path: Location, split: str, into: Collector) -> None:
    """Topic, iteration, document and grade, with white space between."""
    into.judged_files[str(path)] = split
    for place, line in utf8_lines(path, into.defects):
        values = line.split()
        if len(values) != 4:
            into.defects.add(
                "bad qrels line",
                f"{place}: {len(values)} fields, expected topic, iteration, document, grade",
            )
            continue
        grade = fields.grade_field({"grade": values[3]}, "grade", place, into.defects)
        if grade is not None:
            into.judgement(place, values[0], values[2], grade, split)


def _blocks(path: Location, tag: str, defects: Defects) -> Iterator[tuple[Place, str]]:
    """The texts between ``<tag>`` and ``</tag>``, each with the line where it begins."""
    start, end = re.compile(f"<{tag}>", re.IGNORECASE), re.compile(f"</{tag}>", re.IGNORECASE)
    at, lines, size = Place(str(path)), list[str](), 0
    for place, line in utf8_lines(path, defects):
        if start.search(line):
            if lines:
                defects.add(f"open <{tag}>", f"{at}: <{tag}> without an end, expected </{tag}>")
            at.number, lines, size = place.number, [""], 0
        if lines:
            lines.append(line)
            size += len(line)
        if lines and (end.search(line) or size > LONGEST_LINE):
            if size > LONGEST_LINE:
                defects.add(f"open <{tag}>", f"{at}: <{tag}> without an end, expected </{tag}>")
            else:
                yield at, "\n".join(lines)
            lines = []
    if lines:
        defects.add(f"open <{tag}>", f"{at}: <{tag}> without an end, expected </{tag}>")


def _inside(block: str, tag: str) -> str:
    """The text of all elements of a tag."""
    return "\n".join(re.findall(f"<{tag}>(.*?)</{tag}>", block, re.IGNORECASE | re.DOTALL))


def _plain(text: str) -> str:
    """A text without tags and with its entities spelled out."""
    return " ".join(html.unescape(TAG.sub(" ", text)).split())
