from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.artifacts.schemas import CANDIDATES, QRELS, QUERIES
from strop.pipeline.config import VectorIndex
from strop.pipeline.data.document_map import DocumentMap
from strop.pipeline.first_stage import exact_search
from strop.pipeline.first_stage.exact_search import nearest
from strop.pipeline.first_stage.index import (
    Search,
    between,
    build_index,
    read_index,
    shard_sizes,
    write_index,
)
from strop.pipeline.first_stage.retrieval import candidate_tables, positive_scores, recall_ceiling

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


def retrieved(
    shards: list[np.ndarray], ids: pa.Array, table: pa.Table, vectors: np.ndarray, depth: int
) -> pa.Table:
    found = nearest(lambda: iter(shards), vectors, min(depth, len(ids)))
    return pa.concat_tables(candidate_tables(found, ids, table))


def candidates(depth: int, vectors: np.ndarray) -> list[tuple[str, str, int, float]]:
    found = retrieved([PASSAGES], IDS, queries(*["dev"] * len(vectors)), vectors, depth)
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
    blocks = list(nearest(lambda: [PASSAGES[:1], PASSAGES[1:]], np.array([[2, 1]], np.float32), 6))
    assert blocks[0][2].tolist() == [[2, 0, 1, 3, -1, -1]]


def test_every_query_keeps_its_split() -> None:
    vectors = np.zeros((3, 2), np.float32)
    found = retrieved([PASSAGES], IDS, queries("train", "dev", "test"), vectors, 1)
    assert found["split"].to_pylist() == ["train", "dev", "test"]
    assert set(found["source"].to_pylist()) == {"dense"}


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    passages=st.integers(1, 60),
    num_queries=st.sampled_from([1, 3, 19, 20, 300]),
    depth=st.integers(1, 70),
)
def test_search_over_shards_agrees_with_brute_force(
    seed: int, passages: int, num_queries: int, depth: int
) -> None:
    random = np.random.default_rng(seed)
    # Small whole numbers: products are exact and ties are frequent.
    corpus = random.integers(-2, 3, (passages, 4)).astype(np.float32)
    vectors = random.integers(-2, 3, (num_queries, 4)).astype(np.float32)
    shards = np.array_split(corpus, min(3, passages))
    ids = pa.array([f"p{i}" for i in range(passages)])
    table = queries(*["dev"] * num_queries)
    found = retrieved(shards, ids, table, vectors, depth).to_pydict()
    scores = vectors @ corpus.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    width = min(depth, passages)
    assert found["passage_id"] == [f"p{row}" for row in order.reshape(-1)]
    assert found["score"] == np.take_along_axis(scores, order, axis=1).reshape(-1).tolist()
    assert found["rank"] == list(range(1, width + 1)) * num_queries


def test_ties_at_the_cut_are_kept_by_row() -> None:
    random = np.random.default_rng(0)
    for depth in (3, 5, 8):
        corpus = random.integers(-1, 2, (40, 4)).astype(np.float32)
        vectors = random.integers(-1, 2, (60, 4)).astype(np.float32)
        ((_, _, rows),) = nearest(lambda c=corpus: [c], vectors, depth)  # type: ignore[misc]
        expected = np.argsort(-(vectors @ corpus.T), axis=1, kind="stable")[:, :depth]
        np.testing.assert_array_equal(rows, expected)


def test_more_queries_than_are_kept_take_more_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    random, passes = np.random.default_rng(3), []
    corpus = random.standard_normal((50, 4)).astype(np.float32)
    vectors = random.standard_normal((600, 4)).astype(np.float32)
    monkeypatch.setattr(exact_search, "QUERY_BLOCK", 256)

    def blocks() -> list[np.ndarray]:
        passes.append(1)
        return [corpus[:20], corpus[20:]]

    def found() -> list[tuple[int, Any, Any]]:
        return [(start, s.tolist(), r.tolist()) for start, s, r in nearest(blocks, vectors, 5)]

    once = found()
    assert [start for start, _, _ in once] == [0, 256, 512]
    monkeypatch.setattr(exact_search, "KEPT", 5 * 256)
    assert found() == once
    assert len(passes) == 1 + 3


INDEXES = [
    VectorIndex(type="hnsw"),
    VectorIndex(type="ivf", lists=20, probes=10),
    VectorIndex(type="ivf_pq", lists=20, probes=10, code_dimensions=4),
]


@pytest.fixture(scope="module")
def clustered() -> tuple[np.ndarray, np.ndarray]:
    """Passages in 50 clusters, as texts on a few topics have, and queries near some of them."""
    random = np.random.default_rng(1)
    centres = random.standard_normal((50, 16))
    corpus = centres[random.integers(0, 50, 3_000)] + random.standard_normal((3_000, 16)) / 2
    vectors = corpus[:300] + random.standard_normal((300, 16)) / 4
    return corpus.astype(np.float32), vectors.astype(np.float32)


@pytest.mark.parametrize("config", INDEXES, ids=lambda config: config.type)
def test_an_index_finds_most_and_scores_it_exactly(
    config: VectorIndex, clustered: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    corpus, vectors = clustered

    def blocks() -> list[np.ndarray]:
        return [corpus[:1000], corpus[1000:]]

    files = [tmp_path / "one.faiss", tmp_path / "again.faiss"]
    for path in files:
        write_index(build_index(blocks, len(corpus), 16, config), path)
    assert files[0].read_bytes() == files[1].read_bytes(), "an index follows from its vectors"
    if config.type == "ivf_pq":
        assert files[0].stat().st_size < corpus.nbytes / 2
    search = Search([read_index(files[0])], blocks, 20, config)
    assert search.share_of_exact(vectors) > 0.9
    blocks_found = list(search.nearest(vectors))
    scores, rows = (np.concatenate([each[place] for each in blocks_found]) for place in (1, 2))
    np.testing.assert_allclose(
        scores, np.take_along_axis(vectors @ corpus.T, rows, axis=1), rtol=1e-5, atol=1e-5
    )
    assert (np.diff(scores, axis=1) <= 0).all()


@pytest.mark.parametrize("config", INDEXES, ids=lambda config: config.type)
def test_an_index_in_shards_finds_what_one_finds(
    config: VectorIndex, clustered: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    corpus, vectors = clustered

    def blocks() -> list[np.ndarray]:
        return [corpus[:700], corpus[700:2_300], corpus[2_300:]]

    sizes = shard_sizes(3_000, config.model_copy(update={"shard_passages": 1_400}))
    assert sizes == [1_000, 1_000, 1_000]
    indexes, ends = [], np.cumsum(sizes).tolist()
    for size, end in zip(sizes, ends, strict=True):
        some = between(blocks, end - size, end)
        path = tmp_path / f"{end}.faiss"
        write_index(build_index(some, size, 16, config), path)
        indexes.append(read_index(path))
        assert str(path) in Path("/proc/self/maps").read_text(), "the file is mapped, not read"
    search = Search(indexes, blocks, 20, config)
    assert search.share_of_exact(vectors) > 0.9
    found = np.concatenate([rows for _, _, rows in search.nearest(vectors)])
    assert {int(row) for row in np.unique(found // 1_000)} == {0, 1, 2}
    assert (np.diff(np.sort(found, axis=1), axis=1) > 0).all(), "each passage once"


def test_of_shards_the_best_are_scored_and_no_more() -> None:
    corpus = np.array([[1, 0], [3, 0], [2, 0], [5, 0], [4, 0], [6, 0]], np.float32)
    config = VectorIndex(type="ivf", lists=1)
    halves = [between(lambda: [corpus], first, first + 3) for first in (0, 3)]
    indexes = [build_index(half, 3, 2, config) for half in halves]
    ((_, scores, rows),) = Search(indexes, lambda: [corpus], 4, config).nearest(
        np.array([[1, 0]], np.float32)
    )
    assert rows.tolist() == [[5, 3, 4, 1]]
    assert scores.tolist() == [[6, 5, 4, 3]]
    ((_, _, rows),) = Search(indexes, lambda: [corpus], 8, config).nearest(
        np.array([[-1, 0]], np.float32)
    )
    assert rows.tolist() == [[0, 2, 1, 4, 3, 5, -1, -1]]


@pytest.mark.parametrize("config", [VectorIndex(type="hnsw"), VectorIndex(type="ivf", lists=1)])
@pytest.mark.parametrize("sizes", [(5, 2), (2, 5), (1, 3, 3)])
def test_a_shard_smaller_than_the_depth_gives_what_it_has(
    config: VectorIndex, sizes: tuple[int, ...]
) -> None:
    corpus = np.array([[1, 0], [3, 0], [2, 0], [5, 0], [4, 0], [7, 0], [6, 0]], np.float32)
    ends = np.cumsum(sizes).tolist()
    shards = [between(lambda: [corpus], e - s, e) for s, e in zip(sizes, ends, strict=True)]
    indexes = [build_index(shard, s, 2, config) for shard, s in zip(shards, sizes, strict=True)]
    queries = np.array([[1, 0], [-1, 0]], np.float32)
    for depth, missing in ((6, 0), (9, 2)):
        ((_, _, rows),) = Search(indexes, lambda: [corpus], depth, config).nearest(queries)
        best = [5, 6, 3, 4, 1, 2, 0]
        assert rows.tolist() == [each[:depth] + [-1] * missing for each in (best, best[::-1])]


def test_what_an_index_can_not_find_is_no_candidate() -> None:
    config = VectorIndex(type="ivf", lists=2, probes=1)
    corpus = np.repeat(np.array([[1, 0], [-1, 0]], np.float32), 60, axis=0)
    index = build_index(lambda: [corpus], len(corpus), 2, config)
    search = Search([index], lambda: [corpus], 100, config)
    ((_, scores, rows),) = search.nearest(np.array([[1, 0]], np.float32))
    assert rows[0].tolist() == [*range(60), *[-1] * 40]
    assert scores[0, :60].tolist() == [1.0] * 60
    assert search.share_of_exact(np.array([[1, 0]], np.float32)) == 0.6


def test_positives_have_their_dot_product_found_or_missed() -> None:
    vectors = np.array([[2, 1], [0.5, -1]], np.float32)
    judged = qrels(("q1", "c", 1, "dev"), ("q0", "d", 2, "dev"), ("q0", "a", 0, "dev"))
    found = positive_scores(
        lambda: [PASSAGES[:3], PASSAGES[3:]], IDS, queries("dev", "dev"), vectors, judged
    )
    assert found.to_pylist() == [
        {"query_id": "q1", "passage_id": "c", "score": -0.5},
        {"query_id": "q0", "passage_id": "d", "score": -2.0},
    ]


def test_the_recall_ceiling_by_hand() -> None:
    table = queries("train", "dev", "dev")
    vectors = np.array([[2, 1], [0, -1], [-1, 0]], np.float32)
    # At depth 2: q0 finds c, a; q1 finds a, d; q2 finds d, b.
    found = retrieved([PASSAGES], IDS, table, vectors, 2)
    judged = qrels(
        ("q0", "c", 1, "train"),
        ("q1", "a", 1, "dev"),
        ("q1", "b", 1, "dev"),
        ("q1", "c", 0, "dev"),
        ("q2", "a", 1, "dev"),
    )
    for parts in ([found], [found.slice(0, 3), found.slice(3)]):
        ceiling = recall_ceiling(parts, judged, DocumentMap.none())
        assert ceiling == {"dev": round(1 / 3, 4), "train": 1.0}


@pytest.mark.parametrize("depth", [1, 4])
def test_the_recall_ceiling_reads_tables_in_chunks(depth: int) -> None:
    table = queries("train", "dev")
    vectors = np.array([[2, 1], [-1, 0]], np.float32)
    found = retrieved([PASSAGES], IDS, table, vectors, depth)
    judged = pa.concat_tables([qrels(("q0", "a", 1, "train")), qrels(("q1", "d", 1, "dev"))])
    ceiling = recall_ceiling([found], judged, DocumentMap.none())
    assert ceiling == {"dev": 1.0, "train": float(depth == 4)}
