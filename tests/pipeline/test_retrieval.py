from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.artifacts.schemas import CANDIDATES, QRELS, QUERIES
from strop.pipeline.first_stage.index import build_flat_index, read_index, search, write_index
from strop.pipeline.first_stage.retrieval import positive_scores, recall_ceiling, retrieve

PASSAGES = np.array([[1, 0], [0, 1], [1, 1], [-1, 0]], np.float32)
IDS = pa.array(["a", "b", "c", "d"])


def queries(*splits: str) -> pa.Table:
    rows = [
        {"query_id": f"q{i}", "text": "t", "split": split, "weight": 1.0, "group_id": f"q{i}"}
        for i, split in enumerate(splits)
    ]
    return pa.Table.from_pylist(rows, schema=QUERIES)


def qrels(*rows: tuple[str, str, int, str]) -> pa.Table:
    names = ("query_id", "passage_id", "grade", "split")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=QRELS)


def candidates(depth: int, vectors: np.ndarray) -> list[tuple[str, str, int, float]]:
    index = build_flat_index([PASSAGES])
    found = pa.concat_tables(
        retrieve(index, IDS, queries(*["dev"] * len(vectors)), vectors, depth=depth)
    )
    assert found.schema == CANDIDATES
    return [tuple(row.values())[:4] for row in found.to_pylist()]


def test_candidates_by_hand() -> None:
    vectors = np.array([[2, 1], [0, -1]], np.float32)
    # q0: c 3, a 2, b 1, d -2; q1: a 0, d 0 (a tie, by row), b -1, c -1
    assert candidates(3, vectors) == [
        ("q0", "c", 1, 3.0),
        ("q0", "a", 2, 2.0),
        ("q0", "b", 3, 1.0),
        ("q1", "a", 1, 0.0),
        ("q1", "d", 2, 0.0),
        ("q1", "b", 3, -1.0),
    ]


def test_fewer_passages_than_the_depth_give_fewer_candidates_and_no_row_minus_one() -> None:
    found = candidates(100, np.array([[2, 1]], np.float32))
    assert [row[1] for row in found] == ["c", "a", "b", "d"]
    blocks = list(search(build_flat_index([PASSAGES]), np.array([[2, 1]], np.float32), 6))
    assert blocks[0][2].tolist() == [[2, 0, 1, 3, -1, -1]]


def test_every_query_keeps_its_split() -> None:
    index, vectors = build_flat_index([PASSAGES]), np.zeros((3, 2), np.float32)
    found = pa.concat_tables(
        retrieve(index, IDS, queries("train", "dev", "test"), vectors, depth=1)
    )
    assert found["split"].to_pylist() == ["train", "dev", "test"]
    assert set(found["source"].to_pylist()) == {"dense"}


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    passages=st.integers(1, 60),
    num_queries=st.sampled_from([1, 3, 19, 20, 300]),
    depth=st.integers(1, 70),
)
def test_the_index_agrees_with_brute_force(
    seed: int, passages: int, num_queries: int, depth: int
) -> None:
    random = np.random.default_rng(seed)
    # Small whole numbers: products are exact and ties are frequent.
    corpus = random.integers(-2, 3, (passages, 4)).astype(np.float32)
    vectors = random.integers(-2, 3, (num_queries, 4)).astype(np.float32)
    shards = np.array_split(corpus, min(3, passages))
    ids = pa.array([f"p{i}" for i in range(passages)])
    table = queries(*["dev"] * num_queries)
    found = pa.concat_tables(
        retrieve(build_flat_index(shards), ids, table, vectors, depth=depth)
    ).to_pydict()
    scores = vectors @ corpus.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    width = min(depth, passages)
    assert found["passage_id"] == [f"p{row}" for row in order.reshape(-1)]
    assert found["score"] == np.take_along_axis(scores, order, axis=1).reshape(-1).tolist()
    assert found["rank"] == list(range(1, width + 1)) * num_queries


def test_an_index_comes_back_from_its_file(tmp_path: Path) -> None:
    write_index(build_flat_index([PASSAGES[:3], PASSAGES[3:]]), tmp_path / "index.faiss")
    read: faiss.Index = read_index(tmp_path / "index.faiss")
    np.testing.assert_array_equal(read.reconstruct_n(0, 4), PASSAGES)


def test_positives_have_their_dot_product_found_or_missed() -> None:
    vectors = np.array([[2, 1], [0.5, -1]], np.float32)
    judged = qrels(("q1", "c", 1, "dev"), ("q0", "d", 2, "dev"), ("q0", "a", 0, "dev"))
    found = positive_scores(
        build_flat_index([PASSAGES]), IDS, queries("dev", "dev"), vectors, judged
    )
    assert found.to_pylist() == [
        {"query_id": "q1", "passage_id": "c", "score": -0.5},
        {"query_id": "q0", "passage_id": "d", "score": -2.0},
    ]


def test_the_recall_ceiling_by_hand() -> None:
    index, table = build_flat_index([PASSAGES]), queries("train", "dev", "dev")
    vectors = np.array([[2, 1], [0, -1], [-1, 0]], np.float32)
    # At depth 2: q0 finds c, a; q1 finds a, d; q2 finds d, b.
    found = pa.concat_tables(retrieve(index, IDS, table, vectors, depth=2))
    judged = qrels(
        ("q0", "c", 1, "train"),
        ("q1", "a", 1, "dev"),
        ("q1", "b", 1, "dev"),
        ("q1", "c", 0, "dev"),
        ("q2", "a", 1, "dev"),
    )
    assert recall_ceiling(found, judged) == {"dev": round(1 / 3, 4), "train": 1.0}


@pytest.mark.parametrize("depth", [1, 4])
def test_the_recall_ceiling_reads_tables_in_chunks(depth: int) -> None:
    index, table = build_flat_index([PASSAGES]), queries("train", "dev")
    vectors = np.array([[2, 1], [-1, 0]], np.float32)
    found = pa.concat_tables(retrieve(index, IDS, table, vectors, depth=depth))
    judged = pa.concat_tables([qrels(("q0", "a", 1, "train")), qrels(("q1", "d", 1, "dev"))])
    assert recall_ceiling(found, judged) == {"dev": 1.0, "train": float(depth == 4)}
