import pyarrow as pa

from strop.artifacts.schemas import CANDIDATES, QRELS, SCORES
from strop.pipeline.mining.pool import Source, window
from strop.pipeline.mining.rows import selection_rows

Pairs = dict[tuple[str, str], float]


def scores(pairs: Pairs) -> pa.Table:
    rows = [{"query_id": q, "passage_id": p, "score": value} for (q, p), value in pairs.items()]
    return pa.Table.from_pylist(rows, schema=SCORES)


def qrels(grades: Pairs) -> pa.Table:
    rows = [
        {"query_id": q, "passage_id": p, "grade": int(grade), "split": "train"}
        for (q, p), grade in grades.items()
    ]
    return pa.Table.from_pylist(rows, schema=QRELS)


def source(name: str, passages: str, *, size: int = 9) -> Source:
    rows = [
        {
            "query_id": "q",
            "passage_id": passage,
            "rank": rank,
            "score": 1 / rank,
            "source": "dense",
            "split": "train",
        }
        for rank, passage in enumerate(passages, 1)
    ]
    return Source(name, pa.Table.from_pylist(rows, schema=CANDIDATES), 1, size, size)


def test_the_window_and_the_positives_that_it_lacks_with_all_their_scores() -> None:
    found = window([source("first_stage", "abd", size=2), source("bm25", "bx")], pa.array(["q"]))
    table = selection_rows(
        found,
        scores({("q", "b"): 0.5, ("q", "z"): 0.125, ("r", "a"): 1.0}),
        qrels({("q", "b"): 2, ("q", "z"): 1, ("q", "x"): 0, ("r", "a"): 1}),
        {"reranker_score": scores({("q", "a"): -1.0, ("q", "z"): 3.0}), "teacher_score": None},
    )
    assert table.to_pydict() == {
        "query_id": ["q"] * 4,
        "passage_id": ["a", "b", "x", "z"],
        "rank": [1, 2, None, None],
        "pool": ["first_stage", "first_stage + bm25", "bm25", "judged"],
        "first_stage_score": [1.0, 0.5, None, 0.125],
        "positive": [False, True, False, True],
        "grade": [None, 2, 0, 1],
        "reranker_score": [-1.0, None, None, 3.0],
        "teacher_score": [None] * 4,
        "earlier_score": [None] * 4,
    }


def test_a_positive_past_the_window_keeps_its_exact_score_and_no_rank() -> None:
    found = window([source("first_stage", "abcd", size=2)], pa.array(["q"]))
    table = selection_rows(found, scores({("q", "d"): 0.25}), qrels({("q", "d"): 1}), {})
    assert table.to_pylist()[-1] == {
        "query_id": "q",
        "passage_id": "d",
        "rank": None,
        "pool": "judged",
        "first_stage_score": 0.25,
        "positive": True,
        "grade": 1,
        "reranker_score": None,
        "teacher_score": None,
        "earlier_score": None,
    }
