import pyarrow as pa

from strop.artifacts.schemas import CANDIDATES, QRELS, QUERIES
from strop.pipeline.config import Mining
from strop.pipeline.mining.pool import pairs_to_score, pool_rows, round_queries, window_rows


def queries(count: int) -> pa.Table:
    rows = [
        {"query_id": f"q{i:02}", "text": "t", "split": split, "weight": 1.0, "group_id": f"q{i}"}
        for i, split in enumerate(["train"] * count + ["dev"] * 3)
    ]
    return pa.Table.from_pylist(rows, schema=QUERIES)


def qrels(*rows: tuple[str, str, int]) -> pa.Table:
    records = [
        {"query_id": query, "passage_id": passage, "grade": grade, "split": "train"}
        for query, passage, grade in rows
    ]
    return pa.Table.from_pylist(records, schema=QRELS)


def candidates(query: str, *passages: str) -> pa.Table:
    rows = [
        {
            "query_id": query,
            "passage_id": passage,
            "rank": rank,
            "score": -float(rank),
            "source": "dense",
            "split": "train",
        }
        for rank, passage in enumerate(passages, 1)
    ]
    return pa.Table.from_pylist(rows, schema=CANDIDATES)


def rounds(limit: int | None, numbers: range, *, seed: int = 1) -> list[list[str]]:
    judged = qrels(*[(f"q{i:02}", "p", 1) for i in range(13)])
    return [
        round_queries(queries(10), judged, round_number=number, limit=limit, seed=seed).to_pylist()
        for number in numbers
    ]


def test_without_a_limit_every_train_query_with_a_positive_is_mined_in_every_round() -> None:
    train = [f"q{i:02}" for i in range(10)]
    assert rounds(None, range(1, 3)) == [train, train]
    assert rounds(10, range(1, 2)) == [train]


def test_queries_without_a_positive_are_not_mined() -> None:
    judged = qrels(("q00", "p", 0), ("q01", "p", 1), ("q10", "p", 1))
    found = round_queries(queries(10), judged, round_number=1, limit=None, seed=1)
    assert found.to_pylist() == ["q01"]


def test_every_round_takes_fresh_queries_until_they_are_used_up() -> None:
    found = rounds(4, range(1, 4))
    assert [len(set(ids)) for ids in found] == [4, 4, 4]
    assert not set(found[0]) & set(found[1])
    # 10 queries: the third round has the last 2 fresh ones, then starts again.
    third = set(found[2])
    assert len(third - set(found[0]) - set(found[1])) == 2
    assert len(third & set(found[0])) == 2


def test_five_rounds_of_4_out_of_10_use_every_query_twice() -> None:
    used = [query for ids in rounds(4, range(1, 6)) for query in ids]
    assert all(used.count(query) == 2 for query in set(used))
    assert len(set(used)) == 10


def test_the_seed_decides_which_queries() -> None:
    assert rounds(4, range(1, 3)) == rounds(4, range(1, 3))
    assert rounds(4, range(1, 3)) != rounds(4, range(1, 3), seed=2)


def test_window_and_pool_are_stretches_of_ranks_of_a_rounds_queries() -> None:
    table = pa.concat_tables([candidates("q00", *"abcdef"), candidates("q01", *"abcdef")])
    config = Mining(min_rank=2, pool_size=2, window_size=4)
    window = window_rows(table, pa.array(["q01"]), config)
    assert window["passage_id"].to_pylist() == ["b", "c", "d", "e"]
    assert set(window["query_id"].to_pylist()) == {"q01"}
    assert pool_rows(window, config)["passage_id"].to_pylist() == ["b", "c"]


def test_the_reranker_scores_the_pool_and_the_positives_it_lacks() -> None:
    pool = pa.concat_tables([candidates("q01", "a", "b"), candidates("q00", "b", "c")])
    judged = qrels(("q00", "b", 1), ("q00", "z", 2), ("q01", "y", 0), ("q02", "x", 1))
    found = [tuple(row.values()) for row in pairs_to_score(pool, judged).to_pylist()]
    assert found == [("q01", "a"), ("q01", "b"), ("q00", "b"), ("q00", "c"), ("q00", "z")]
