import pyarrow as pa
import pytest

from strop.artifacts.schemas import NEGATIVES, QUERIES, SELECTION, SUSPECTS
from strop.pipeline.mining.negatives import mining_summary, negatives, suspects

QUERY_TABLE = pa.Table.from_pylist(
    [
        {"query_id": q, "text": q, "split": "train", "weight": weight, "group_id": q}
        for q, weight in (("r", 0.5), ("q", 2.0), ("s", 1.0))
    ],
    schema=QUERIES,
)


def selection(*rows: tuple[str, str, int | None, float | None, str]) -> pa.Table:
    rules = {"positive": "judged", "suspect": "above_margin", "negative": "sampled"}
    records = [
        {
            "query_id": query,
            "passage_id": passage,
            "rank": rank,
            "first_stage_score": score,
            "reranker_score": None,
            "mining_score": score,
            "decision": decision,
            "rule": rules.get(decision, "not_sampled"),
            "sampler": "top" if decision == "negative" else "",
        }
        for query, passage, rank, score, decision in rows
    ]
    return pa.Table.from_pylist(records, schema=SELECTION)


MINED = selection(
    ("q", "a", 1, 0.5, "negative"),
    ("q", "b", 2, 2.0, "positive"),
    ("q", "c", 3, 1.5, "negative"),
    ("q", "d", None, 4.0, "positive"),
    ("q", "e", 4, 5.0, "suspect"),
    ("q", "f", 5, None, "negative"),
    ("r", "a", 1, -1.0, "negative"),
    ("r", "b", 2, -3.0, "positive"),
    ("r", "c", 3, -4.0, "skipped"),
    ("s", "b", 1, 3.0, "positive"),
    ("s", "c", 2, 9.0, "suspect"),
)


def test_one_row_a_query_with_the_hardest_negative_first() -> None:
    table = negatives(MINED, QUERY_TABLE)
    assert table.schema == NEGATIVES
    first, second = table.to_pylist()
    assert (first["query_id"], first["positive_ids"]) == ("q", ["b", "d"])
    assert (first["group_size"], first["weight"]) == (4, 2.0)
    # The positives' mean is 3; what was not scored comes last.
    assert first["negatives"] == [
        {"passage_id": "c", "score": 1.5, "rank": 3, "sampler": "top", "hardness": -1.5},
        {"passage_id": "a", "score": 0.5, "rank": 1, "sampler": "top", "hardness": -2.5},
        {"passage_id": "f", "score": None, "rank": 5, "sampler": "top", "hardness": None},
    ]
    assert (second["query_id"], second["positive_ids"]) == ("r", ["b"])
    assert (second["group_size"], second["weight"]) == (2, 0.5)
    assert [item["hardness"] for item in second["negatives"]] == [2.0]


def test_suspects_stand_beside_the_mean_of_their_positives() -> None:
    table = suspects(MINED)
    assert table.schema == SUSPECTS
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("q", "e", 5.0, 5.0, 3.0, "above_margin"),
        ("s", "c", 9.0, 9.0, 3.0, "above_margin"),
    ]


def test_the_summary_counts_every_row_and_the_queries_that_fall_short() -> None:
    assert mining_summary(MINED, 4) == {
        "queries": 3,
        "negatives": 4,
        "suspects": 2,
        "queries_with_fewer_negatives": 2,
        "queries_without_negatives": 1,
        "rows": {
            "negative: sampled": 4,
            "positive: judged": 4,
            "suspect: above_margin": 2,
            "skipped: not_sampled": 1,
        },
    }


@pytest.mark.parametrize("decision", ["suspect", "skipped"])
def test_a_round_without_any_negative_gives_empty_tables(decision: str) -> None:
    table = selection(("q", "a", 1, 3.0, decision), ("q", "b", 2, 2.0, "positive"))
    assert negatives(table, QUERY_TABLE).num_rows == 0
    assert suspects(table).num_rows == (decision == "suspect")
    assert mining_summary(table, 2)["queries_without_negatives"] == 1


def test_tables_in_chunks_with_dictionaries_of_their_own() -> None:
    chunks = [MINED.slice(start, 3) for start in range(0, MINED.num_rows, 3)]
    rebuilt = [pa.Table.from_pylist(chunk.to_pylist(), schema=SELECTION) for chunk in chunks]
    chunked = pa.concat_tables(rebuilt)
    assert negatives(chunked, QUERY_TABLE).to_pylist() == negatives(MINED, QUERY_TABLE).to_pylist()
    assert suspects(chunked).to_pylist() == suspects(MINED).to_pylist()
    assert mining_summary(chunked, 3) == mining_summary(MINED, 3)
