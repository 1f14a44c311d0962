import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.artifacts.schemas import DEPTHS, DOCUMENTS
from strop.pipeline.config import Config
from strop.pipeline.data.document_map import DocumentMap
from strop.pipeline.evaluation.depths import Ranked, cut, depths_table
from strop.pipeline.evaluation.fusion import fuse
from strop.pipeline.evaluation.max_passage import rank_documents
from strop.pipeline.evaluation.metrics import per_query_metrics
from strop.pipeline.evaluation.ranking import build_ranking


def ranked(tables, scores, *, weight=1.0, depth=4):
    found = tables.candidates({"q1": ["a", "b", "c", "d", "e"]})
    return Ranked(fuse(build_ranking(found, np.array(scores, np.float32), depth), weight), weight)


def order(table, column="rank"):
    rows = sorted(table.to_pylist(), key=lambda row: row[column])
    return "".join(row["passage_id"] for row in rows)


def test_a_cut_reranks_only_the_first_candidates(tables):
    full = ranked(tables, [1, 2, 3, 4])
    assert order(full.table) == "dcbae"
    assert order(cut(full, 2)) == "bacde"
    assert order(cut(full, 1)) == "abcde"
    assert order(cut(full, 3), "fused_rank") == "cbade"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=4, max_size=4), st.sampled_from([0.0, 0.3, 1.0]))
def test_a_cut_at_the_depth_itself_changes_nothing(scores, weight):
    from tests.pipeline.conftest import EvaluationTables

    full = ranked(EvaluationTables, scores, weight=weight)
    assert cut(full, 4).equals(full.table)


def test_a_cut_of_documents_knows_only_the_chunks_within_it(tables):
    # The best chunk of A is the third: reranking two, nobody has seen its score.
    documents = DocumentMap(pa.table([["A#1", "A#2"], ["A", "A"]], schema=DOCUMENTS))
    found = tables.candidates({"q1": ["A#1", "B", "A#2"]})
    passages = build_ranking(found, np.array([0, 1, 5], np.float32), 3)
    ranked = Ranked(passages, 1.0, documents)
    assert order(cut(ranked, 2)) == "BA"
    assert order(cut(ranked, 3)) == "AB"
    whole = fuse(rank_documents(passages, documents), 1.0)
    assert cut(ranked, 3).equals(whole)


def test_depths_by_hand_with_a_missed_query_counted(tables):
    # The positive d of q1 is found once 4 are reranked; q2 has no candidates at all.
    judgements = tables.judgements({"q1": {"d": 1}, "q2": {"x": 1}})
    table = depths_table(
        {0: ranked(tables, [1, 2, 3, 0]), 1: ranked(tables, [1, 2, 3, 4])},
        judgements, depths=(2, 4), metrics=("RR", "P@1"), seed=1, samples=100,
    )  # fmt: skip
    assert table.schema == DEPTHS
    rows = {
        (r["round"], r["ranking"], r["depth"]): r["value"]
        for r in table.to_pylist()
        if r["metric"] == "MRR"
    }
    assert rows[(0, "first_stage", 2)] == rows[(0, "first_stage", 4)] == 0.25 / 2
    assert rows[(1, "reranker", 2)] == 0.25 / 2
    assert rows[(1, "reranker", 4)] == 1 / 2
    assert (1, "first_stage", 4) not in rows
    assert set(table["n"].to_pylist()) == {2}


def test_a_base_that_scored_nothing_has_no_depths(tables):
    found = tables.candidates({"q1": list("abcd")})
    unscored = Ranked(fuse(build_ranking(found, None, 4), 0.0), 0.0)
    judgements = tables.judgements({"q1": {"d": 1}})
    table = depths_table(
        {0: unscored, 1: ranked(tables, [1, 2, 3, 4])},
        judgements, depths=(2, 4), metrics=("RR",), seed=1, samples=100,
    )  # fmt: skip
    shown = [(row["round"], row["ranking"], row["depth"]) for row in table.to_pylist()]
    assert shown[:2] == [(0, "first_stage", 2), (0, "first_stage", 4)]
    assert {round_ for round_, _, _ in shown[2:]} == {1}


def test_the_deepest_values_are_those_of_the_metrics(tables):
    full = ranked(tables, [3, 1, 4, 2], weight=0.5)
    judgements = tables.judgements({"q1": {"c": 1}})
    options = {"depths": (4,), "metrics": ("nDCG@10",), "seed": 1, "samples": 100}
    rows = depths_table({2: full}, judgements, **options).to_pylist()
    plain = per_query_metrics(full.table, judgements, kind="fused", depth=4, metrics=["nDCG@10"])
    assert [row["value"] for row in rows if row["ranking"] == "fused"] == plain["value"].to_pylist()


@pytest.mark.parametrize(
    ("depth", "depths", "cuts"),
    [
        (50, (10, 20, 50), (10, 20, 50)),
        (8, (10, 20), (8,)),
        (30, (), (30,)),
        (9, (5, 3), (3, 5, 9)),
        (50, None, (10, 20, 50)),
        (200, None, (10, 20, 50, 100, 200)),
    ],
)
def test_the_depths_that_are_told_end_at_the_depth(depth, depths, cuts):
    asked = {"depth": depth} | ({} if depths is None else {"depths": depths})
    config = Config(evaluation=asked, first_stage={"depth": 200})
    assert config.evaluation.cuts == cuts


def test_latency_counts_every_pair_and_leaves_out_the_warm_up(tables):
    from strop.pipeline.scoring.latency import measure, sample

    candidates = tables.candidates({f"q{i}": ["a", "b", "c"][: i + 1] for i in range(3)})
    seen = []
    queries = sample(candidates, seed=1)
    found = list(measure(lambda pairs: seen.append(len(pairs)), queries, (1, 2)))
    assert [(item.depth, item.queries, item.pairs) for item in found] == [(1, 3, 3), (2, 3, 5)]
    assert len(seen) == 2 * (3 + 1)
    assert all(0 < item.p50_ms <= item.p95_ms for item in found)
    assert pa.concat_tables(sample(candidates, seed=1, count=2)).equals(
        pa.concat_tables(sample(candidates, seed=1, count=2))
    )
