import pyarrow as pa

from strop.artifacts.schemas import CANDIDATES, QRELS
from strop.pipeline.config import Mining
from strop.pipeline.mining.pool import Source, pairs_to_score, pool_name, sources, window


def qrels(*rows: tuple[str, str, int]) -> pa.Table:
    records = [
        {"query_id": query, "passage_id": passage, "grade": grade, "split": "train"}
        for query, passage, grade in rows
    ]
    return pa.Table.from_pylist(records, schema=QRELS)


def candidates(query: str, passages: str) -> pa.Table:
    """One letter a passage; scores are -1, -2 and so on."""
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


def first_stage(*tables: pa.Table, min_rank: int = 1, size: int = 4, scored: int = 2) -> Source:
    return Source("first_stage", pa.concat_tables(tables), min_rank, size, scored)


def test_the_window_is_a_stretch_of_ranks_of_some_queries_and_its_head_is_scored() -> None:
    source = first_stage(candidates("q00", "abcdef"), candidates("q01", "abcdef"), min_rank=2)
    table = window([source], pa.array(["q01"]))
    assert table.to_pydict() == {
        "query_id": ["q01"] * 4,
        "passage_id": ["b", "c", "d", "e"],
        "pool": ["first_stage"] * 4,
        "scored": [True, True, False, False],
        "rank": [2, 3, 4, 5],
        "first_stage_score": [-2.0, -3.0, -4.0, -5.0],
    }


def test_a_passage_of_several_pools_is_one_row_that_tells_all_of_them() -> None:
    #   first stage: a b c d within abcdef, of which a and b are scored
    #   bm25: d f z, all scored; e is the first stage's fifth and in no window
    first = first_stage(candidates("q", "abcdef"))
    bm25 = Source("pool 1 (bm25)", candidates("q", "dfz"), 1, 3, 3)
    table = window([first, bm25], pa.array(["q"]))
    found = [
        (row["passage_id"], row["pool"], row["scored"], row["rank"], row["first_stage_score"])
        for row in table.to_pylist()
    ]
    assert found == [
        ("a", "first_stage", True, 1, -1.0),
        ("b", "first_stage", True, 2, -2.0),
        ("c", "first_stage", False, 3, -3.0),
        ("d", "first_stage + pool 1 (bm25)", True, 4, -4.0),
        ("f", "pool 1 (bm25)", True, 6, -6.0),
        ("z", "pool 1 (bm25)", True, None, None),
    ]


def test_another_pool_has_a_stretch_of_ranks_of_its_own() -> None:
    bm25 = Source("pool 1 (bm25)", candidates("q", "uvwxyz"), 3, 2, 2)
    table = window([first_stage(candidates("q", "ab"), size=1), bm25], pa.array(["q"]))
    assert table["passage_id"].to_pylist() == ["a", "w", "x"]


def test_a_query_that_only_another_pool_found_has_a_window_too() -> None:
    bm25 = Source("pool 1 (bm25)", candidates("r", "xy"), 1, 2, 2)
    table = window([first_stage(candidates("q", "ab")), bm25], pa.array(["q", "r"]))
    assert table["query_id"].to_pylist() == ["q", "q", "r", "r"]
    assert table["rank"].to_pylist() == [1, 2, None, None]


def test_the_sources_follow_the_config_and_are_named_after_it() -> None:
    pools = [
        {"source": "bm25", "min_rank": 4, "size": 7},
        {"source": "/tmp/runs/colbert.trec"},
        {"source": "bm25", "quota": 0.25},
    ]
    config = Mining.model_validate(
        {"min_rank": 2, "pool_size": 5, "window_size": 20, "more_pools": pools}
    )
    table = candidates("q", "ab")
    found = [
        (source.name, source.min_rank, source.size, source.scored)
        for source in sources(table, [table] * 3, config)
    ]
    assert found == [
        ("first_stage", 2, 20, 5),
        ("pool 1 (bm25)", 4, 7, 7),
        ("pool 2 (run file)", 1, 20, 20),
        ("pool 3 (bm25)", 1, 20, 20),
    ]
    assert [pool_name(number, config) for number in (1, 2, 3)] == [name for name, *_ in found[1:]]


def test_the_reranker_scores_the_pool_and_the_positives_it_lacks() -> None:
    first = first_stage(candidates("q01", "abc"), candidates("q00", "bcd"))
    rows = window([first], pa.array(["q00", "q01"]))
    judged = qrels(("q00", "d", 1), ("q00", "b", 1), ("q00", "z", 2), ("q02", "x", 1))
    pairs = pa.concat_tables(pairs_to_score(rows, judged))
    found = [tuple(row.values()) for row in pairs.to_pylist()]
    # d is the third of its window, which is not scored, but a positive.
    assert found == [
        ("q00", "b"),
        ("q00", "c"),
        ("q01", "a"),
        ("q01", "b"),
        ("q00", "d"),
        ("q00", "z"),
    ]
