"""Reads FlagEmbedding's training files: query, pos and neg, with a teacher's scores of both."""

from strop.pipeline.data import fields
from strop.pipeline.data.collector import Collector, Query
from strop.pipeline.data.locations import Location
from strop.pipeline.data.readers.files import Files, plain_name, split_of
from strop.pipeline.data.readers.named_fields import NamedFields
from strop.pipeline.data.readers.options import Options
from strop.pipeline.data.text_files import Place, json_lines
from strop.pipeline.errors import InputError

KNOWN = ("query", "pos", "neg", "pos_scores", "neg_scores", "weight", "group_id", "query_id")
MEANINGS = ("weight", "group_id", "query_id")


def flagembedding_files(path: Location, options: Options) -> Files:
    """A JSONL file, or all in a folder; a file's name says its split, and train when it doesn't."""
    for name in options.columns:
        if name not in MEANINGS:
            raise InputError(
                f"{options.told(name)}: FlagEmbedding says itself which field that is, expected "
                f"one of {', '.join(MEANINGS)}"
            )
    if path.is_folder():
        names = [name for name in path.names() if plain_name(name).endswith((".jsonl", ".json"))]
        if not names:
            raise InputError(f"{path}: no .jsonl files, expected FlagEmbedding's training data")
        return {name: path / name for name in names}
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder; expected FlagEmbedding's JSONL")
    return {path.name: path}


def read_flagembedding(files: Files, options: Options, into: Collector) -> None:
    """Read every file; ``neg`` are passages of the pool, and no judgements."""
    named = NamedFields(options, MEANINGS)
    for name, path in files.items():
        split = split_of(name) or "train"
        for place, record in json_lines(path, into.defects):
            named.look(record)
            _read_record(record, split, place, options, into)
    named.refuse_unseen(", ".join(map(str, files.values())), into.defects)


def _read_record(
    record: fields.Record, split: str, place: Place, options: Options, into: Collector
) -> None:
    defects = into.defects
    text = fields.text_field(record, "query", place, defects)
    positives = fields.texts_field(record, "pos", place, defects)
    negatives = [] if record.get("neg") is None else fields.texts_field(
        record, "neg", place, defects
    )  # fmt: skip
    weight = fields.weight_field(record, options.column("weight") or "weight", place, defects)
    if text is None or positives is None or negatives is None or weight is None:
        return
    scores = [
        fields.numbers_field(record, key, place, defects, count=len(texts))
        for key, texts in (("pos_scores", positives), ("neg_scores", negatives))
    ]
    if scores[0] is None or scores[1] is None:
        return
    if not positives:
        defects.add("bad pos", f"{place}: field 'pos' is empty, expected a list of texts")
        return
    query_id = _query(record, text, weight, place, options, into)
    _passages(query_id, positives, scores[0], split, place, into)
    _passages(query_id, negatives, scores[1], None, place, into)


def _query(
    record: fields.Record,
    text: str,
    weight: float,
    place: Place,
    options: Options,
    into: Collector,
) -> str:
    """The query's id: the record's where it has one, else made from the text."""
    group_key = options.column("group_id") or "group_id"
    id_key = options.column("query_id") or "query_id"
    known = fields.single_values(record, without=(*KNOWN, group_key, id_key, "type", "prompt"))
    prompt = record.get("prompt")
    if isinstance(prompt, str):
        prompt = fields.optional_text(record, "prompt", place, into.defects)
    if prompt:
        into.prompts.add(str(prompt))
    group = fields.optional_id(record, group_key, place, into.defects) or ""
    query_id = fields.optional_id(record, id_key, place, into.defects)
    if query_id:
        into.query(place, query_id, Query(text, group or query_id, known, weight))
        return query_id
    return into.query_text(place, Query(text, group, known, weight))


def _passages(
    query_id: str,
    texts: list[str],
    scores: list[float],
    split: str | None,
    place: Place,
    into: Collector,
) -> None:
    """Passages of one query: judged where there is a split, and scored or to mine from."""
    for number, text in enumerate(texts):
        passage_id = into.passages.add_text(place, text)
        if split:
            into.judgement(place, query_id, passage_id, 1, split)
        if scores or not split:
            into.candidate(place, query_id, passage_id, scores[number] if scores else None)
