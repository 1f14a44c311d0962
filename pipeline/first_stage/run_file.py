"""A user's own run: a TREC or TSV file of scored passages as a table, and as candidates."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import DOCUMENTS, RUN, SCORES
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.ranking import IntArray, encode, rank_within
from strop.pipeline.first_stage.retrieval import candidate_rows

BLOCK_BYTES = 1 << 24
EXAMPLE = "q1 Q0 p7 1 12.5 name"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LARGEST = float(np.finfo(np.float32).max)
NO_DOCUMENTS = DOCUMENTS.empty_table()


@dataclass(frozen=True)
class Lines:
    """Where rows come from: row 0 is line ``first`` of the file."""

    file: str
    first: int

    def at(self, row: int) -> str:
        """The place of a row, as messages name it."""
        return f"{self.file} line {self.first + row}"


@dataclass(frozen=True)
class Layout:
    """How a line is cut into fields, and which field each column is."""

    fields: int
    places: dict[str, int]
    separator: str | None
    first_line: int


TREC = Layout(6, {"query_id": 0, "passage_id": 2, "rank": 3, "score": 4}, None, 1)
TSV = Layout(3, {"query_id": 0, "passage_id": 1, "score": 2}, "\t", 2)
HEADERS = (["query-id", "passage-id", "score"], ["query-id", "corpus-id", "score"])


def read_run(path: Path) -> tuple[pa.Table, int]:
    """The rows of a run file in the order of its lines, and the line of the first row.

    TREC lines are ``query Q0 passage rank score name``, cut at white space; a TSV file begins with
    the header ``query-id, passage-id, score``. Ranks are made anew: by score, equal scores by the
    rank that the file gives, then by line. Raises `InputError` naming the line of a wrong number
    of fields, a score or rank that is no number, or a pair that was there before.
    """
    layout = _layout(path)
    table = pa.concat_tables(list(_blocks(path, layout)))
    _refuse_repeated_pairs(table, Lines(str(path), layout.first_line))
    query_codes, _ = encode(table["query_id"])
    given = table["rank"].to_numpy() if "rank" in layout.places else np.zeros(len(table), np.int64)
    scores, rows = table["score"].to_numpy(), np.arange(len(table))
    ranks = pa.array(rank_within(query_codes, scores, given, rows))
    columns = [table["query_id"], table["passage_id"], ranks, table["score"]]
    return pa.table(columns, names=RUN.names).cast(RUN), layout.first_line


def _layout(path: Path) -> Layout:
    """The layout that the first line shows."""
    try:
        with path.open("rb") as file:
            line = file.readline(1 << 16).removeprefix(BYTE_ORDER_MARK).rstrip(b"\r\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), expected a run") from error
    first = line.decode("utf-8", errors="replace")
    if first.split("\t") in HEADERS:
        return TSV
    if len(line.split()) == TREC.fields:
        return TREC
    raise InputError(
        f"{path} line 1: {first[:80]!r} has {len(line.split())} fields, expected six as in "
        f"{EXAMPLE!r} (TREC) or the header query-id, passage-id, score with tabs between (TSV)"
    )


def _blocks(path: Path, layout: Layout) -> Iterator[pa.Table]:
    """The file's lines as columns, some megabytes at a time."""
    number = layout.first_line
    with path.open("rb") as file:
        file.seek(len(BYTE_ORDER_MARK) if file.read(3) == BYTE_ORDER_MARK else 0)
        if layout is TSV:
            file.readline()
        while block := file.readlines(BLOCK_BYTES):
            lines = Lines(str(path), number)
            yield _columns(_texts(block, lines), layout, lines)
            number += len(block)
    if number == layout.first_line:
        raise InputError(f"{path}: a header alone, expected scored passages below it")


def _texts(block: list[bytes], lines: Lines) -> pa.Array:
    try:
        return pa.array([line.rstrip(b"\r\n") for line in block], pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        row = next(row for row, line in enumerate(block) if not _is_utf8(line))
        raise InputError(f"{lines.at(row)}: {block[row][:80]!r}, expected UTF-8 text") from None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _columns(texts: pa.Array, layout: Layout, lines: Lines) -> pa.Table:
    if layout.separator is None:
        parts = pc.ascii_split_whitespace(pc.ascii_trim_whitespace(texts))
    else:
        parts = pc.split_pattern(texts, layout.separator)
    counts = pc.list_value_length(parts).to_numpy()
    if (counts != layout.fields).any():
        row = int(np.argmax(counts != layout.fields))
        raise InputError(
            f"{lines.at(row)}: {texts[row].as_py()[:80]!r} has not {layout.fields} fields, "
            "expected as many as in line 1"
        )
    flat = pc.list_flatten(parts)
    fields = {
        name: flat.take(pa.array(np.arange(place, len(flat), layout.fields)))
        for name, place in layout.places.items()
    }
    for name in ("query_id", "passage_id"):
        _require(pc.not_equal(fields[name], ""), fields[name], "an id", lines)
    fields["score"] = _numbers(fields["score"], pa.float64(), "a finite score", lines)
    if "rank" in fields:
        fields["rank"] = _numbers(fields["rank"], pa.int64(), "a whole rank", lines)
    return pa.table(fields)


def _numbers(texts: pa.Array, kind: pa.DataType, what: str, lines: Lines) -> pa.Array:
    """The texts as numbers, none of them beyond what float32 holds."""
    try:
        values = texts.cast(kind)
    except pa.ArrowInvalid:
        values = pa.array([_number(text, kind) for text in texts.to_pylist()], kind)
    within = pc.fill_null(pc.less_equal(pc.abs(values.cast(pa.float64())), LARGEST), False)
    _require(within, texts, what, lines)
    return values


def _number(text: str, kind: pa.DataType) -> Any:
    """One text as Arrow reads it, or None: a row at a time, to find the line that is wrong."""
    try:
        return pa.scalar(text).cast(kind).as_py()
    except pa.ArrowInvalid:
        return None


def _require(holds: pa.Array, texts: pa.Array, what: str, lines: Lines) -> None:
    wrong = np.flatnonzero(~holds.to_numpy(zero_copy_only=False))
    if len(wrong):
        row = int(wrong[0])
        raise InputError(f"{lines.at(row)}: {texts[row].as_py()!r}, expected {what}")


def _refuse_repeated_pairs(table: pa.Table, lines: Lines) -> None:
    query_codes, _ = encode(table["query_id"])
    passage_codes, passage_ids = encode(table["passage_id"])
    pairs = query_codes * len(passage_ids) + passage_codes
    _, first_rows, places = np.unique(pairs, return_index=True, return_inverse=True)
    again = np.flatnonzero(first_rows[places] != np.arange(len(pairs)))
    if len(again):
        row = int(again[0])
        query_id, passage_id = (table[name][row].as_py() for name in ("query_id", "passage_id"))
        raise InputError(
            f"{lines.at(row)}: query {query_id!r} and passage {passage_id!r} are in line "
            f"{lines.first + first_rows[places[row]]} too, expected one score a pair"
        )


def run_candidates(
    run: pa.Table,
    queries: pa.Table,
    passage_ids: Any,
    *,
    depth: int,
    lines: Lines,
    documents: pa.Table = NO_DOCUMENTS,
) -> pa.Table:
    """The run's rows down to ``depth`` as candidates, in order of query and rank.

    Queries that the data set lacks are left out. Raises `InputError` as `known_query_rows`.
    """
    query_rows = known_query_rows(run, queries, passage_ids, lines=lines, documents=documents)
    ranks = run["rank"].to_numpy()
    kept = np.flatnonzero((ranks <= depth) & (query_rows >= 0))
    order = kept[np.lexsort((ranks[kept], query_rows[kept]))]
    return candidate_rows(
        queries,
        query_rows[order],
        run["passage_id"].take(pa.array(order)),
        ranks=ranks[order],
        scores=run["score"].to_numpy()[order],
        source="run",
    )


def known_query_rows(
    run: pa.Table,
    queries: pa.Table,
    passage_ids: Any,
    *,
    lines: Lines,
    documents: pa.Table = NO_DOCUMENTS,
) -> IntArray:
    """The row of each query among the queries; -1 where the data set lacks it.

    A run of production ranks queries without a judgement too, and those that an import left out.
    Raises `InputError` for the first passage of the others that the data set lacks, also where that
    is one of the ``documents`` that its passages were cut from, and for a run that has none of its
    queries.
    """
    query_rows, passages = (
        _rows(run[name], known)
        for name, known in (("query_id", queries["query_id"]), ("passage_id", passage_ids))
    )
    if (query_rows < 0).all():
        _refuse_id(run["query_id"], queries["query_id"], 0, "query", lines)
    unknown = (passages < 0) & (query_rows >= 0)
    if unknown.any():
        row = int(np.argmax(unknown))
        _refuse_document(run["passage_id"][row], documents, lines.at(row))
        _refuse_id(run["passage_id"], passage_ids, row, "passage", lines)
    return query_rows


def _rows(ids: pa.ChunkedArray, known: Any) -> IntArray:
    """The row of each id among those known, or -1."""
    found: IntArray = pc.fill_null(pc.index_in(ids, value_set=known), -1).to_numpy()
    return found.astype(np.int64)


def _refuse_document(unknown: pa.Scalar, documents: pa.Table, where: str) -> None:
    """Raise `InputError` for the id of a document, naming its first chunk."""
    place = pc.index(documents["document_id"], unknown).as_py()
    if place >= 0:
        raise InputError(
            f"{where}: {unknown.as_py()!r} is a document that was cut into chunks, expected the "
            f"ids of chunks, such as {documents['passage_id'][place].as_py()!r}: these are what a "
            "pool is of"
        )


def _refuse_id(ids: pa.ChunkedArray, known: Any, row: int, noun: str, lines: Lines) -> NoReturn:
    raise InputError(
        f"{lines.at(row)}: {noun} {ids[row].as_py()!r} is not in the data set, expected one of its "
        f"{len(known):,} ids"
    )


def run_positives(run: pa.Table, qrels: pa.Table) -> pa.Table:
    """The run's scores of the judged positives that it has, at any rank; it knows no others."""
    positives = qrels.filter(pc.greater(qrels["grade"], 0)).select(["query_id", "passage_id"])
    found = positives.join(
        run.drop_columns(["rank"]), ["query_id", "passage_id"], join_type="inner"
    )
    order = [("query_id", "ascending"), ("passage_id", "ascending")]
    return found.sort_by(order).select(SCORES.names).cast(SCORES)
