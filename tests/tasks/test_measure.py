"""What the stages that measure say of a figure, against those that decide by it."""

import re

import pyarrow as pa
import pytest

from strop.artifacts.schemas import CANDIDATES, CORPUS, QRELS, QUERIES, TRAIN_LOG
from strop.cli.display import headline
from strop.pipeline.config import Config
from strop.pipeline.evaluation.fusion import fuse
from strop.pipeline.evaluation.ranking import build_ranking
from strop.tasks.decide import accept
from strop.tasks.measure import diagnose, evaluate
from strop.tasks.stage import Place
from tests.review_world import keep

HITS, QUERY_COUNT = 17, 21
"""0.80952…, which four digits would first round to 0.8095, and three then to 0.809."""
CONFIG = Config(evaluation={"metrics": ["P@1"], "depth": 2})


def kept_ranking(place, scale=1.0):
    """A data set, and its ranking with a hit at the head of 17 of 21 queries."""
    ids = [f"q{number:02d}" for number in range(QUERY_COUNT)]
    queries = [
        {"query_id": id_, "text": id_, "split": "dev", "weight": 1.0, "group_id": id_}
        for id_ in ids
    ]
    judged = [
        {"query_id": id_, "passage_id": "ab"[place >= HITS], "grade": 1, "split": "dev"}
        for place, id_ in enumerate(ids)
    ]
    candidates = [
        {
            "query_id": id_,
            "passage_id": passage,
            "rank": rank,
            "score": 1.0 / rank,
            "source": "dense",
            "split": "dev",
        }
        for id_ in ids
        for rank, passage in enumerate("ab", start=1)
    ]
    store = place.open()
    table = pa.Table.from_pylist(candidates, schema=CANDIDATES)
    ranking = fuse(build_ranking(table, scale * table["score"].to_numpy(), 2), 0.5)
    dataset = keep(
        store,
        "dataset",
        corpus=CORPUS.empty_table(),
        queries=pa.Table.from_pylist(queries, schema=QUERIES),
        qrels=pa.Table.from_pylist(judged, schema=QRELS),
    )
    return dataset, keep(store, "ranking", ranking=ranking)


def test_a_metric_reads_alike_where_it_is_measured_and_where_it_decides(tmp_path):
    place = Place(tmp_path / "store", "tiny", "round 1")
    metrics = evaluate.fn(place, *kept_ranking(place), CONFIG, "dev")
    decision = accept.fn(place, metrics, metrics, CONFIG, names=("round 1", "the untuned base"))
    store = place.open()
    measured = headline("evaluate · round 1", store.manifest(metrics).summary)
    decided = headline("accept · round 1", store.manifest(decision).summary)
    assert re.search(r"fused P@1 ([\d.]+)", measured)[1] == "0.810"
    assert re.search(r"P@1 on dev ([\d.]+)", decided)[1] == "0.810"


@pytest.mark.parametrize(("spread", "alarm"), [(0.07, "underfit"), (2.0, "collapse")])
def test_nearly_equal_scores_are_explained_by_what_the_training_saw(tmp_path, spread, alarm):
    place = Place(tmp_path / "store", "tiny", "round 1")
    dataset, ranking = kept_ranking(place, scale=0.001)
    log = [
        {**dict.fromkeys(TRAIN_LOG.names, 1), "step": step, "score_spread": spread}
        for step in (1, 2)
    ]
    train_log = pa.Table.from_pylist(log, schema=TRAIN_LOG)
    reranker = keep(place.open(), "reranker", train_log=train_log)
    made = diagnose.fn(place, dataset, ranking, reranker, CONFIG.training, "dev")
    raised = place.open().table(made, "alarms").to_pylist()
    assert {"underfit", "collapse"} & {row["name"] for row in raised} == {alarm}
