"""Rows that pair queries with passages: pairs, triplets, n-tuples, labelled pairs and lists."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from strop.pipeline.data import fields
from strop.pipeline.data.collector import Collector, Query
from strop.pipeline.data.readers.files import SPLIT_WORDS
from strop.pipeline.data.readers.options import Options
from strop.pipeline.data.text_files import Place
from strop.pipeline.errors import InputError

NAMES = {
    "query": ("query", "anchor", "question"),
    "passage": ("passage", "positive", "pos", "answer", "document", "docs", "passages"),
    "grade": ("grade", "label", "labels", "relevance"),
    "query_id": ("query_id",),
    "passage_id": ("passage_id",),
    "title": ("title",),
    "split": ("split",),
    "weight": ("weight",),
    "group_id": ("group_id",),
    "parent_id": ("parent_id",),
}
"""The columns that are looked for where a person names none; the first that is there is taken."""
OPTIONAL = ("title", "weight", "group_id", "parent_id")
NEGATIVE = re.compile(r"(negative|neg)(_?[0-9]+)?|negatives")
SCORES = ("score", "scores")


@dataclass(frozen=True)
class Layout:
    """Which column is what in one file."""

    columns: dict[str, str]
    negatives: tuple[str, ...]

    @property
    def optional(self) -> tuple[str, ...]:
        """The columns that need no value in every row."""
        named = [self.columns[name] for name in OPTIONAL if name in self.columns]
        return (*named, *self.negatives)

    def named(self, name: str) -> str | None:
        """The column of one of strop's names, where there is one."""
        return self.columns.get(name)


def find_layout(names: Sequence[str], options: Options, file: str, *, in_order: bool) -> Layout:
    """What the columns of a file are; raises `InputError` where query or passage is not found.

    ``in_order`` takes the first column as query, the second as passage and others as negatives
    where no name is known, as sentence-transformers does.
    """
    for meaning, column in options.columns.items():
        if column not in names:
            raise InputError(
                f"{file}: no column {column!r} ({options.told(meaning)}), expected one of "
                f"{', '.join(map(repr, names))}"
            )
    columns = dict(options.columns)
    for meaning, usual in NAMES.items():
        found = next((name for name in usual if name in names), None)
        if meaning not in columns and found and found not in columns.values():
            columns[meaning] = found
    chosen = [columns.pop("negative")] if "negative" in columns else []
    taken = set(columns.values())
    negatives = chosen or [name for name in names if NEGATIVE.fullmatch(name) and name not in taken]
    texts = [name for name in names if name not in taken and name not in (*SCORES, *negatives)]
    if in_order and "query" not in columns and "passage" not in columns and len(texts) > 1:
        columns["query"], columns["passage"] = texts[:2]
        negatives = negatives or texts[2:]
    _require(columns, names, file, options)
    return Layout(columns, tuple(negatives))


def _require(columns: dict[str, str], names: Sequence[str], file: str, options: Options) -> None:
    for meaning in ("query", "passage"):
        if meaning not in columns:
            raise InputError(
                f"{file}: no column for the {meaning} among {', '.join(map(repr, names))}; say "
                f"which it is with {options.way(meaning)}"
            )
    score = next((name for name in SCORES if name in names), None)
    if score and "grade" not in columns and score not in columns.values():
        raise InputError(
            f"{file}: column {score!r} may be a grade or a teacher's score; say which with "
            f"{options.way('grade', score)} or {options.way('score', score)}"
        )


def read_pairs(
    record: fields.Record, layout: Layout, split: str, place: Place, into: Collector
) -> None:
    """Take one row's query and passages, what they are judged, and what may be mined from."""
    part = split_field(record, layout.named("split"), split, place, into)
    passages = _texts(record, layout.columns["passage"], place, into)
    grades = _per_passage(record, layout.named("grade"), len(passages or ()), place, into, "grade")
    scores = _per_passage(record, layout.named("score"), len(passages or ()), place, into, "score")
    query_id = _query(record, layout, place, into)
    if passages is None or grades is None or scores is None or query_id is None or not part:
        return
    ids = _passage_ids(record, layout, passages, place, into)
    for number, passage_id in enumerate(ids):
        grade = int(grades[number]) if grades else 1
        into.judgement(place, query_id, passage_id, grade, part)
        if scores or grade <= 0:
            into.candidate(place, query_id, passage_id, scores[number] if scores else None)
    for column in layout.negatives:
        if record.get(column) is not None:
            for text in _texts(record, column, place, into) or ():
                into.candidate(place, query_id, into.passages.add_text(place, text), None)


def split_field(
    record: fields.Record, column: str | None, split: str, place: Place, into: Collector
) -> str | None:
    """The row's split: of its column, or of its file; None, and an error, for another word."""
    if column is None:
        return split
    value = record.get(column)
    if isinstance(value, str) and value.lower() in SPLIT_WORDS:
        return SPLIT_WORDS[value.lower()]
    into.defects.add(
        f"bad {column}",
        f"{place}: field {column!r} is {fields.shown(value)}, expected train, dev, gate or test",
    )
    return None


def _texts(record: fields.Record, column: str, place: Place, into: Collector) -> list[str] | None:
    """One text or a list of them."""
    if isinstance(record.get(column), list):
        return fields.texts_field(record, column, place, into.defects)
    text = fields.text_field(record, column, place, into.defects)
    return None if text is None else [text]


def _per_passage(
    record: fields.Record,
    column: str | None,
    count: int,
    place: Place,
    into: Collector,
    what: str,
) -> list[float] | None:
    """A number for each passage; an empty list where there is no column, None after an error."""
    if column is None:
        return []
    if isinstance(record.get(column), list):
        numbers = fields.numbers_field(record, column, place, into.defects, count=count)
        if what == "grade" and numbers and not all(map(fields.is_grade, numbers)):
            into.defects.add(
                f"bad {column}",
                f"{place}: field {column!r} is {fields.shown(record[column])}, expected whole "
                "numbers",
            )
            return None
        return numbers
    field: Any = fields.grade_field if what == "grade" else fields.number_field
    number = field(record, column, place, into.defects)
    return None if number is None else [float(number)] * count


def _query(record: fields.Record, layout: Layout, place: Place, into: Collector) -> str | None:
    defects = into.defects
    text = fields.text_field(record, layout.columns["query"], place, defects)
    weight = fields.weight_field(record, layout.named("weight") or "", place, defects)
    group = fields.optional_id(record, layout.named("group_id") or "", place, defects)
    if text is None or weight is None or group is None:
        return None
    known = fields.single_values(record, without=(*layout.columns.values(), *layout.negatives))
    column = layout.named("query_id")
    if column is None:
        return into.query_text(place, Query(text, group, known, weight))
    query_id = fields.id_field(record, column, place, defects)
    if query_id is not None:
        into.query(place, query_id, Query(text, group or query_id, known, weight))
    return query_id


def _passage_ids(
    record: fields.Record, layout: Layout, passages: list[str], place: Place, into: Collector
) -> list[str]:
    """The ids of a row's passages, which are added to the corpus."""
    title = fields.optional_text(record, layout.named("title") or "", place, into.defects) or ""
    column = layout.named("passage_id")
    if column is None:
        return [into.passages.add_text(place, text, title) for text in passages]
    if len(passages) == 1 and not isinstance(record.get(column), list):
        one = fields.id_field(record, column, place, into.defects)
        ids = None if one is None else [one]
    else:
        ids = fields.ids_field(record, column, place, into.defects)
    if ids is None:
        return []
    if len(ids) != len(passages):
        into.defects.add(
            f"bad {column}",
            f"{place}: field {column!r} has {len(ids)} ids, expected {len(passages)}",
        )
        return []
    parent = fields.optional_id(record, layout.named("parent_id") or "", place, into.defects)
    for passage_id, text in zip(ids, passages, strict=True):
        into.passages.add(place, passage_id, text, title, parent or None)
    return ids
