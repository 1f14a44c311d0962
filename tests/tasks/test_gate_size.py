"""What a promotion asks of gate, counted in a real store."""

import pyarrow as pa

from strop.artifacts.schemas import CORPUS, QRELS, QUERIES
from strop.artifacts.store import Store
from strop.pipeline.config import Config, Decision
from strop.tasks.gate_size import too_small_a_gate
from tests.review_world import keep


def test_only_queries_with_a_positive_count(tmp_path):
    store = Store(tmp_path / "store")
    splits = {"q1": "gate", "q2": "gate", "q3": "gate", "q4": "dev"}
    queries = [
        {"query_id": id_, "text": id_, "split": split, "weight": 1.0, "group_id": id_}
        for id_, split in splits.items()
    ]
    judged = [("q1", "a", 2, "gate"), ("q1", "b", 1, "gate"), ("q2", "a", 0, "gate")]
    dataset = keep(
        store,
        "dataset",
        corpus=CORPUS.empty_table(),
        queries=pa.Table.from_pylist(queries, schema=QUERIES),
        qrels=pa.Table.from_pylist(
            [dict(zip(QRELS.names, row, strict=True)) for row in judged], schema=QRELS
        ),
    )
    asked = {n: Config(decision=Decision(min_gate_queries=n)) for n in (1, 2)}
    assert too_small_a_gate(store, dataset, asked[1]) == ""
    why = "gate has 1 judged query, decision.min_gate_queries asks for 2"
    assert too_small_a_gate(store, dataset, asked[2]) == why
