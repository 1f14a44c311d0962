"""Positives that the first stage does not find, by hand."""

import pyarrow as pa

from strop.artifacts.schemas import CANDIDATES, QRELS
from strop.pipeline.first_stage.missed import missed_positives


def qrels(*rows: tuple[str, str, int, str]) -> pa.Table:
    names = ("query_id", "passage_id", "grade", "split")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=QRELS)


def candidates(*pairs: tuple[str, str]) -> pa.Table:
    rows = [
        {"query_id": query, "passage_id": passage, "rank": 1, "score": 1.0, "source": "dense"}
        for query, passage in pairs
    ]
    return pa.Table.from_pylist([{**row, "split": "dev"} for row in rows], schema=CANDIDATES)


def test_missed_positives_are_counted_by_split_and_named() -> None:
    judged = qrels(
        ("q2", "b", 1, "train"),
        ("q1", "c", 2, "dev"),
        ("q1", "a", 1, "dev"),
        ("q1", "d", 0, "dev"),  # nothing is missed here
        ("q3", "a", 1, "train"),
        ("q2", "c", 1, "train"),
    )
    missed = missed_positives([candidates(("q1", "a"), ("q2", "d"), ("q3", "b"))], judged)
    assert missed.rows.select(["query_id", "passage_id"]).to_pylist() == [
        {"query_id": query, "passage_id": passage}
        for query, passage in (("q1", "c"), ("q2", "b"), ("q2", "c"), ("q3", "a"))
    ]
    assert missed.sentence(100) == (
        "The first stage does not find 4 of 5 positives among its 100 best passages (dev 1, train "
        "3), of 3 queries, such as query 'q1', passage 'c'; query 'q2', passage 'b'; query 'q2', "
        "passage 'c': no reranker can rank these. Look whether they are judged rightly; else raise "
        "first_stage.depth or choose another first stage."
    )


def test_nothing_is_said_where_all_are_found() -> None:
    missed = missed_positives([candidates(("q1", "a"))], qrels(("q1", "a", 1, "dev")))
    assert (missed.positives, missed.sentence(10)) == (1, "")


def test_one_query_is_one_query() -> None:
    judged = qrels(("q1", "a", 1, "dev"), ("q2", "b", 1, "dev"))
    missed = missed_positives([candidates(("q1", "a"), ("q2", "c"))], judged)
    assert "1 of 2 positives among its 10 best passages (dev 1), of 1 query, such as" in (
        missed.sentence(10)
    )
