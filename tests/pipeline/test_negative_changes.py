from collections.abc import Iterator

import pyarrow as pa

from strop.artifacts.schemas import SELECTION
from strop.pipeline.mining.changes import NOWHERE
from strop.pipeline.mining.negative_changes import hardest_negatives, negative_changes


def selection(*rows: tuple[str, str, float, str, str, str]) -> pa.Table:
    names = ("query_id", "passage_id", "mining_score", "decision", "rule", "sampler")
    values = [
        {"pool": "dense", "weight": 1.0, **dict(zip(names, row, strict=True))} for row in rows
    ]
    return pa.Table.from_pylist(values, schema=SELECTION)


LAST = selection(
    ("q", "a", 3.0, "positive", "judged", ""),
    ("q", "b", 2.0, "negative", "sampled", "uniform"),
    ("q", "c", 1.0, "negative", "sampled", "uniform"),
    ("q", "d", 0.5, "negative", "sampled", "uniform"),
    ("q", "e", 0.2, "negative", "sampled", "uniform"),
    ("old", "b", 2.0, "negative", "sampled", "uniform"),
)
NOW = selection(
    ("q", "a", 3.0, "positive", "judged", ""),
    ("q", "b", 3.5, "suspect", "margin", ""),
    ("q", "c", 1.0, "negative", "sampled", "top"),
    ("q", "d", 0.5, "skipped", "not_sampled", ""),
    ("q", "f", 2.5, "negative", "sampled", "top"),
    ("fresh", "x", 1.0, "positive", "judged", ""),
    ("fresh", "y", 0.0, "negative", "sampled", "uniform"),
)


def test_what_left_is_told_with_the_reason_and_only_of_queries_mined_twice() -> None:
    found = negative_changes(lambda: [NOW], lambda: [LAST])
    assert (found.queries, found.same_queries, found.negatives) == (2, 1, 3)
    assert (found.kept, found.joined, found.left) == (1, 1, 3)
    assert found.why_left == {"skipped: not_sampled": 1, "suspect: margin": 1, NOWHERE: 1}
    assert found.by_sampler == {"top": 2, "uniform": 1}


def test_the_first_round_changes_nothing() -> None:
    found = negative_changes(lambda: [NOW], None)
    assert (found.queries, found.same_queries) == (2, 0)
    assert (found.kept, found.joined, found.left) == (0, 0, 0)


def test_the_hardest_negative_of_each_query_the_closest_to_its_positive_first() -> None:
    found = hardest_negatives(NOW, 5)
    shown = [(item.query_id, item.positive_id, item.negative_id) for item in found]
    assert shown == [("q", "a", "f"), ("fresh", "x", "y")]
    assert [item.difference for item in found] == [-0.5, -1.0]
    assert hardest_negatives(NOW, 1) == found[:1]
    unscored = NOW.set_column(
        NOW.schema.get_field_index("mining_score"),
        NOW.schema.field("mining_score"),
        pa.nulls(NOW.num_rows, pa.float32()),
    )
    assert hardest_negatives(unscored, 5) == []


def test_rows_that_were_skipped_are_not_held() -> None:
    skipped = [(f"q{number}", "s", 0.0, "skipped", "not_sampled", "") for number in range(2_000)]
    part, held = selection(*skipped), []

    def parts() -> Iterator[pa.Table]:
        yield NOW
        for _ in range(20):
            yield part.take(pa.array(range(part.num_rows)))
            held.append(pa.total_allocated_bytes())

    found = negative_changes(parts, lambda: [LAST])
    assert found.why_left == {"skipped: not_sampled": 1, "suspect: margin": 1, NOWHERE: 1}
    assert len(held) == 40
    assert max(held) - min(held) < 8 * part.nbytes
