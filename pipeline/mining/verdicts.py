"""Verdicts as labels: what people said of suspects, on the rows that a selection decides on."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.mining.labels import Labels
from strop.pipeline.mining.pool import KEYS
from strop.pipeline.mining.rows import JUDGED, ORDER

RELEVANT, NOT_RELEVANT, UNSURE = WORDS = ("relevant", "not relevant", "unsure")
"""What people may say of a suspect."""
RULES = {word: f"{word} by verdict" for word in WORDS}
WITHOUT_TEACHER = f"{RULES[RELEVANT]}, without a teacher's score"


def with_verdicts(rows: pa.Table, verdicts: pa.Table, qrels: pa.Table) -> pa.Table:
    """The rows with a ``verdict`` column, and with the rows that verdicts add.

    A relevant pair is a positive of grade 1, one that is not relevant has grade 0. Pairs outside
    the window are added where they must not become negatives. What the data set has judged itself
    stays as it is. A relevant pair that the teacher did not score can't be trained on beside others
    that it did: it is no positive, but `label_verdicts` keeps it from the negatives.
    """
    said = verdicts.set_column(2, "verdict", verdicts["verdict"].cast(pa.string()))
    said = said.filter(pc.is_in(said["query_id"], value_set=pc.unique(rows["query_id"])))
    said = said.join(qrels.select(KEYS), keys=KEYS, join_type="left anti")
    outside = said.filter(pc.not_equal(said["verdict"], NOT_RELEVANT))
    outside = outside.join(rows.select(KEYS), keys=KEYS, join_type="left anti")
    found = rows.join(said, keys=KEYS, join_type="left outer")
    found = pa.concat_tables([found, _added(outside, found.schema)]).sort_by(ORDER)
    taught = pc.is_valid(found["teacher_score"])
    if rows["teacher_score"].null_count == rows.num_rows:
        taught = pc.is_valid(found["query_id"])
    relevant = pc.fill_null(pc.equal(found["verdict"], RELEVANT), False)
    positive = pc.or_(found["positive"], pc.and_(relevant, taught))
    said_grade = pc.if_else(relevant, pa.scalar(1, pa.int32()), pa.scalar(0, pa.int32()))
    judged = pc.fill_null(pc.not_equal(found["verdict"], UNSURE), False)
    grade = pc.if_else(judged, said_grade, found["grade"])
    return _replaced(found, positive=positive, grade=grade).combine_chunks()


def _added(pairs: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows of pairs that no retriever found."""
    count = pairs.num_rows
    columns = {
        **{name: pairs[name] for name in (*KEYS, "verdict")},
        "pool": pa.array([JUDGED] * count, pa.string()),
        "positive": pa.array(np.zeros(count, bool)),
    }
    filled = [columns.get(field.name, pa.nulls(count, field.type)) for field in schema]
    return pa.table(filled, schema=schema)


def _replaced(rows: pa.Table, **columns: Any) -> pa.Table:
    for name, column in columns.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    return rows


def said_of_rows(rows: pa.Table, word: str) -> Any:
    """Which rows people said this word of; none where the rows have no verdicts."""
    if "verdict" not in rows.column_names:
        return np.zeros(rows.num_rows, bool)
    return pc.fill_null(pc.equal(rows["verdict"], word), False).to_numpy()


def label_verdicts(labels: Labels, rows: pa.Table, positive: Any) -> None:
    """Decide on what people found relevant or were unsure of: neither is ever a negative."""
    relevant = said_of_rows(rows, RELEVANT)
    labels.set(relevant & positive, "positive", RULES[RELEVANT])
    labels.set(relevant, "skipped", WITHOUT_TEACHER)
    labels.set(said_of_rows(rows, UNSURE), "suspect", RULES[UNSURE])


def verdict_counts(rows: pa.Table) -> dict[str, int]:
    """How many rows there are of each verdict."""
    return {word: int(said_of_rows(rows, word).sum()) for word in WORDS}


def without_false_negatives(negatives: pa.Table, verdicts: pa.Table) -> pa.Table:
    """A ``negatives`` table less the negatives that people found relevant or were unsure of.

    It is for those of earlier rounds, which were mined before the verdicts. A query that is left
    without any negative goes with its last one.
    """
    said = verdicts.filter(pc.not_equal(verdicts["verdict"].cast(pa.string()), NOT_RELEVANT))
    named = _names(said["query_id"], said["passage_id"])
    lists = negatives["negatives"].combine_chunks()
    counts = pc.list_value_length(lists).to_numpy()
    owners = np.repeat(np.arange(negatives.num_rows), counts)
    members = lists.flatten()
    pairs = _names(negatives["query_id"].take(pa.array(owners)), members.field("passage_id"))
    kept = ~pc.is_in(pairs, value_set=pc.unique(named)).to_numpy(zero_copy_only=False)
    left = np.bincount(owners[kept], minlength=negatives.num_rows)
    offsets = pa.array(np.concatenate([[0], np.cumsum(left)]).astype(np.int32))
    rest = pa.ListArray.from_arrays(offsets, members.filter(pa.array(kept)))
    sizes = pa.array((left + 1).astype(np.int32))
    rows = _replaced(negatives, negatives=rest, group_size=sizes).cast(negatives.schema)
    return rows.filter(pa.array(left > 0))


def _names(query_ids: Any, passage_ids: Any) -> Any:
    """One string a pair; the separator is in no id that was read from a line of text."""
    texts = [_whole(column) for column in (query_ids, passage_ids)]
    return pc.binary_join_element_wise(*texts, "\n")


def _whole(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
