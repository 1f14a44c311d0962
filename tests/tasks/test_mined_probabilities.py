"""Probabilities of mined candidates are read off dev in the unit of the scores that mine."""

import numpy as np
import pyarrow as pa
import pytest

from strop.artifacts.schemas import CANDIDATES, QRELS
from strop.artifacts.store import Store
from strop.pipeline.config import Mining
from strop.pipeline.evaluation.ranking import build_ranking
from strop.pipeline.mining.calibration import fit_calibration
from strop.pipeline.mining.selection import Round
from strop.tasks.mine import _calibrations
from strop.tasks.mining_inputs import MiningInputs
from strop.tasks.round_pool import RoundPool
from tests.review_world import keep

QUERIES = [f"q{number}" for number in range(12)]
FIRST_STAGE = np.array([0.9, 0.7, 0.6, 0.5])


def dev_inputs(store: Store, scores: np.ndarray) -> MiningInputs:
    """Dev's ranking of four candidates a query, of which the second is relevant."""
    rows = [
        {"query_id": query, "passage_id": passage, "rank": place + 1, "split": "dev",
         "score": FIRST_STAGE[place], "source": "dense"}
        for query in QUERIES
        for place, passage in enumerate("abcd")
    ]  # fmt: skip
    ranking = build_ranking(pa.Table.from_pylist(rows, schema=CANDIDATES), scores, 4)
    judged = [{"query_id": q, "passage_id": "b", "grade": 1, "split": "dev"} for q in QUERIES]
    dataset = keep(store, "dataset", qrels=pa.Table.from_pylist(judged, schema=QRELS))
    pool = RoundPool(dataset, dataset)
    return MiningInputs(pool, keep(store, "ranking", ranking=ranking), scores=(dataset,))


def pool_rows() -> pa.Table:
    """A pool of two candidates a query: 0.2 apart in the first stage, 8 logits in the reranker."""
    count = 2 * len(QUERIES)
    columns = {
        "query_id": pa.array(np.repeat(QUERIES, 2)),
        "passage_id": pa.array(["a", "b"] * len(QUERIES)),
        "rank": pa.array(np.tile([1, 2], len(QUERIES)), pa.int32()),
        "pool": pa.array(["first_stage"] * count),
        "first_stage_score": pa.array(np.tile(FIRST_STAGE[:2], len(QUERIES)), pa.float32()),
        "positive": pa.array([False, True] * len(QUERIES)),
        "grade": pa.array([None, 1] * len(QUERIES), pa.int32()),
        "reranker_score": pa.array(np.tile([0.0, 8.0], len(QUERIES)), pa.float32()),
    }
    return pa.table({**columns, "teacher_score": pa.nulls(count, pa.float32()),
                     "earlier_score": pa.nulls(count, pa.float32())})  # fmt: skip


def test_dev_is_calibrated_at_the_scale_of_the_pool(tmp_path) -> None:
    store, scores = Store(tmp_path / "store"), np.random.default_rng(0).normal(size=48)
    config = Mining.model_validate({"guard": {"rule": "probability"}})
    this = Round(
        number=2, rounds=2, seed=1, temperature=1.0, weight=0.5, group_size=4, draw=2, taught=False
    )
    found = _calibrations(store, dev_inputs(store, scores), pool_rows(), config, this)["mining"]
    # 8 logits for 0.2 of the first stage make a scale of 40, which dev's own spreads do not have.
    fused = np.float32(scores) + 40 * np.tile(np.float32(FIRST_STAGE).astype(float), 12)
    expected = fit_calibration(fused, np.tile([False, True, False, False], 12))
    assert found.slope == pytest.approx(expected.slope, rel=1e-3)
    assert found.intercept == pytest.approx(expected.intercept, rel=1e-3)
    assert _calibrations(store, dev_inputs(store, scores), pool_rows(), Mining(), this) == {}
