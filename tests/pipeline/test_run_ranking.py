import pyarrow as pa
import pytest

from strop.artifacts.schemas import RANKING, RUN
from strop.pipeline.evaluation.metrics import per_query_metrics
from strop.pipeline.evaluation.run_ranking import run_ranking


def run(*rows: tuple[str, str, int]) -> pa.Table:
    scored = [(query, passage, rank, 10.0 - rank) for query, passage, rank in rows]
    return pa.Table.from_pylist(
        [dict(zip(RUN.names, row, strict=True)) for row in scored], schema=RUN
    )


def test_a_run_orders_the_candidates_and_what_it_retrieved_besides_is_counted(tables) -> None:
    candidates = tables.candidates({"q1": ["a", "b", "c"], "q0": ["d"]})
    mine = run(("q1", "x", 1), ("q1", "c", 2), ("q1", "a", 3), ("q9", "a", 1))
    found = run_ranking(mine, candidates)
    assert found.table.schema == RANKING
    assert found.num_others == 1
    names = ["query_id", "passage_id", "rank", "first_stage_rank", "fused_rank"]
    assert [tuple(row.values()) for row in found.table.select(names).to_pylist()] == [
        ("q1", "c", 1, 3, None),
        ("q1", "a", 2, 1, None),
    ]


def test_what_a_run_does_not_rank_is_a_miss(tables) -> None:
    candidates = tables.candidates({"q1": ["a", "b"], "q0": ["d"]})
    judgements = tables.judgements({"q1": {"a": 1, "b": 1}, "q0": {"d": 1}})
    ranking = run_ranking(run(("q1", "b", 1)), candidates).table
    rows = per_query_metrics(ranking, judgements, kind="reranker", depth=2, metrics=["AP"])
    assert dict(zip(rows["query_id"].to_pylist(), rows["value"].to_pylist(), strict=True)) == {
        "q1": pytest.approx(0.5),
        "q0": 0.0,
    }


def test_a_run_without_a_candidate_ranks_nothing(tables) -> None:
    found = run_ranking(run(("q1", "x", 1)), tables.candidates({"q1": ["a"]}))
    assert (len(found.table), found.num_others) == (0, 1)
