"""What a run has to do, and what it costs: worked by hand with round unit costs."""

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strop.pipeline.config import Config, VectorIndex
from strop.pipeline.planning.costs import UnitCosts
from strop.pipeline.planning.index_costs import build_work, measure_index, search_work
from strop.pipeline.planning.planner import (
    BREAK_DOWN_SECONDS,
    CLUSTER_SECONDS,
    EVALUATE_SECONDS,
    KERNEL_BYTES,
    READ_SECONDS,
    REPORT_SECONDS,
    RUN_BYTES,
    SELECT_SECONDS,
    SHARD_SECONDS,
    SMALL_SECONDS,
    WORKER_SECONDS,
    planned,
)
from strop.pipeline.planning.stages import Counts, Planned, dominant
from strop.pipeline.planning.word_costs import measure_words

COSTS = UnitCosts(
    device="cpu",
    libraries=6.0,
    load_encoder=1.0,
    load_reranker=2.0,
    tokenize_text=0.001,
    encode_token=0.001,
    score_token=0.002,
    train_token=0.01,
    multiply_add=1e-9,
    build_index=1e-6,
    search_index=1e-6,
    index_words=1e-4,
    search_words=1e-8,
    passage_tokens=40.0,
    query_tokens=10.0,
    pair_tokens=50.0,
    width=100,
    parameters=1_000_000,
    fresh_head=True,
    resident_bytes=500_000_000,
    activation_bytes=10_000.0,
)
COUNTS = Counts(
    passages=1000,
    queries={"train": 80, "dev": 20, "gate": 10, "test": 30},
    round_queries=(60, 60),
    reading=3.0,
)


def config(**changes: Any) -> Config:
    values: dict[str, Any] = {
        "rounds": 2,
        "first_stage": {"depth": 30},
        "mining": {"pool_size": 12, "window_size": 30, "group_size": 8},
        "training": {"groups_per_step": 8},
        "evaluation": {"depth": 10, "depths": [10]},
    }
    for section, change in changes.items():
        values[section] = {**values.get(section, {}), **change}
    return Config.model_validate(values)


def stages(
    settings: Config,
    costs: UnitCosts = COSTS,
    *,
    devices: int = 1,
    workers: int = 0,
    **counts: Any,
) -> dict[str, Planned]:
    total = replace(COUNTS, **counts)
    found = planned(settings, total, costs, devices=devices, workers=workers)
    named = {f"{stage.stage} · {stage.part}": stage for stage in found}
    assert len(named) == len(found)
    return named


def test_the_work_and_time_of_every_stage() -> None:
    found = stages(config())
    assert list(found) == [
        "import · prepare",
        "load and initialise · prepare",
        "encode · prepare",
        "retrieve · prepare",
        "tokenize · prepare",
        "select · round 1",
        "train · round 1",
        "rerank · round 1, dev",
        "tables and reports · round 1",
        "score · round 2",
        "select · round 2",
        "train · round 2",
        "rerank · round 2, dev",
        "tables and reports · round 2",
        "rerank · promote, gate",
        "rerank · assess, test, 2 times",
        "time reranking · assess",
        "tables and reports · assess",
    ]
    seconds = {name: stage.seconds for name, stage in found.items()}
    assert seconds["import · prepare"] == 3.0
    assert seconds["load and initialise · prepare"] == 9.0
    # 1,000 passages of 40 tokens and 140 queries of 10.
    assert found["encode · prepare"].units == 41_400
    assert seconds["encode · prepare"] == pytest.approx(41.4 + 1)
    assert seconds["retrieve · prepare"] == pytest.approx(0.014 + SMALL_SECONDS)
    assert seconds["tokenize · prepare"] == pytest.approx(1.14)
    # 20 dev queries to depth 10, 50 tokens a pair.
    assert found["rerank · round 1, dev"].units == 200
    read = 140 * 30 * READ_SECONDS
    assert seconds["rerank · round 1, dev"] == pytest.approx(200 * 50 * 0.002 + 2 + read)
    assert found["score · round 2"].units == 60 * 12
    assert found["select · round 1"].units == 60 * 30
    assert seconds["select · round 1"] == pytest.approx(SMALL_SECONDS + 60 * 30 * SELECT_SECONDS)
    assert found["train · round 1"].units == 60 * 8
    assert seconds["train · round 1"] == pytest.approx(60 * 8 * 50 * 0.01 + 2)
    assert found["rerank · promote, gate"].units == 100
    # 20 dev queries, of which two rounds are broken down after the first.
    each = EVALUATE_SECONDS + REPORT_SECONDS + 2 * BREAK_DOWN_SECONDS
    told = seconds["tables and reports · round 1"]
    assert told == pytest.approx(6 * SMALL_SECONDS + 20 * each)
    fitted = stages(config(mining={"guard": {"caught_share": 0.9}}))["select · round 1"]
    assert fitted.seconds > seconds["select · round 1"]
    assert found["rerank · assess, test, 2 times"].units == 600


def test_only_a_base_with_a_trained_head_is_reranked_with() -> None:
    fresh, trained = stages(config()), stages(config(), replace(COSTS, fresh_head=False))
    assert not {"rerank · prepare, dev", "rerank · assess, test, 3 times"} & fresh.keys()
    assert trained["rerank · prepare, dev"].units == 200
    assert trained["rerank · assess, test, 3 times"].units == 900


def test_who_mines_decides_what_is_scored() -> None:
    def scored(settings: Config, costs: UnitCosts = COSTS, **counts: Any) -> list[str]:
        return [name for name in stages(settings, costs, **counts) if "score" in name]

    trained_head = replace(COSTS, fresh_head=False)
    assert scored(config()) == ["score · round 2"]
    assert scored(config(), trained_head) == ["score · round 1", "score · round 2"]
    assert scored(config(mining={"miner": "first_stage"}), trained_head) == []
    assert scored(config(mining={"miner": "first_round"})) == []
    taught = config(mining={"teacher": "a-teacher"})
    assert "score · round 1 · teacher" in scored(taught)
    folds = stages(config(), folds=2)
    assert folds["train without folds · round 2"].units == 60 * 8


def test_devices_share_out_training_alone() -> None:
    one, four = stages(config()), stages(config(), devices=4)
    changed = {name for name in one if one[name] != four[name]}
    assert changed == {"train · round 1", "train · round 2"}
    work = 60 * 8 * 50 * 0.01
    assert four["train · round 1"].seconds == pytest.approx(work / 4 + 2 + 6)


def test_workers_share_out_whole_shards() -> None:
    settings = config(bi_encoder={"shard_passages": 100}, reranker={"shard_pairs": 64})
    one = stages(settings)
    some = stages(settings, workers=4)
    changed = {name.split(" · ")[0] for name in one if one[name] != some[name]}
    assert changed == {"encode", "retrieve", "tokenize", "rerank", "score"}
    start = some["start workers · prepare"]
    assert start.units == 4
    assert start.seconds == CLUSTER_SECONDS + WORKER_SECONDS + COSTS.libraries
    # Ten shards of passages and one of queries take four workers three turns.
    work, told = 41.4 * 3 / 11, 11 * SHARD_SECONDS
    assert some["encode · prepare"].seconds == pytest.approx(work + COSTS.load_encoder + told)
    # 720 pairs in twelve shards of 64.
    work, told = 60 * 12 * 50 * 0.002 * 3 / 12, 12 * SHARD_SECONDS
    work += 140 * 30 * READ_SECONDS * 3 / 12
    assert some["score · round 2"].seconds == pytest.approx(work + COSTS.load_reranker + told)
    assert some["score · round 2"].worker_memory < one["score · round 2"].memory
    assert one["score · round 2"].worker_memory == 0


def test_an_index_is_built_and_searched() -> None:
    exact = stages(config(), passages=1_000_000)
    graph = stages(config(first_stage={"index": {"type": "hnsw"}}), passages=1_000_000)
    assert "build index · prepare" not in exact
    built = graph["build index · prepare"]
    assert built.units == 1_000_000
    assert built.seconds == pytest.approx(1e6 * math.log2(1e6 + 1) ** 2 * 1e-6)
    assert built.disk == 1_000_000 * (2 * 100 + 8 * 32)
    # 140 queries by the graph, and 100 of them held against the exact search.
    work = 140 * math.log2(1e6 + 1) ** 2 * 1e-6 + 100 * 1e6 * 100 * 1e-9
    assert graph["retrieve · prepare"].seconds == pytest.approx(work + SMALL_SECONDS)
    assert exact["retrieve · prepare"].seconds == pytest.approx(14.0 + SMALL_SECONDS)


def test_words_alone_need_no_vectors() -> None:
    found = stages(config(first_stage={"ranking": "bm25"}))
    assert {"encode · prepare", "retrieve · prepare"}.isdisjoint(found)
    indexed, searched = found["index words · prepare"], found["retrieve bm25 · prepare"]
    assert (indexed.units, searched.units) == (1000, 140)
    assert indexed.seconds == pytest.approx(SMALL_SECONDS + 0.1)
    assert searched.seconds == pytest.approx(SMALL_SECONDS + 140 * 1000 * 1e-8)


@pytest.mark.parametrize(
    "changes",
    [
        {"first_stage": {"ranking": "fused"}},
        {"mining": {"more_pools": [{"source": "fused", "size": 6}]}},
    ],
)
def test_rank_fusion_asks_vectors_and_words(changes: dict[str, Any]) -> None:
    found = stages(config(**changes))
    both = {"encode · prepare", "retrieve · prepare", "retrieve bm25 · prepare"}
    assert both | {"index words · prepare", "fuse · prepare"} <= found.keys()


def test_words_are_measured_by_indexing_and_searching_some() -> None:
    texts = [f"passage {number} about things" for number in range(9)]
    indexing, searching = measure_words(texts, ["things"], config().first_stage, time.process_time)
    assert 0 < searching < indexing < 0.01


@pytest.mark.parametrize("kind", ["hnsw", "ivf", "ivf_pq"])
def test_shards_of_an_index_are_built_in_the_memory_of_one(kind: str) -> None:
    index = {"type": kind}
    whole = stages(config(first_stage={"index": index}), passages=400_000)
    cut = stages(
        config(first_stage={"index": {**index, "shard_passages": 100_000}}), passages=400_000
    )
    name = "build index · prepare"
    # Codes are trained anew for every shard.
    assert (cut[name].seconds < whole[name].seconds) == (kind != "ivf_pq")
    assert cut[name].disk == whole[name].disk
    over = [plan[name].memory - COSTS.resident_bytes - RUN_BYTES for plan in (cut, whole)]
    assert over[0] < over[1] / 1.9
    assert cut["retrieve · prepare"].seconds > whole["retrieve · prepare"].seconds


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_an_index_is_measured_by_building_one(kind: str) -> None:
    settings = VectorIndex.model_validate({"type": kind})
    build, search = measure_index(16, 10, settings, time.process_time)
    assert build > 0
    assert search > 0
    # A larger index takes longer, and less than in proportion to search.
    assert build_work(100_000, settings) > 5 * build_work(20_000, settings)
    assert search_work(100_000, settings) < 4 * search_work(20_000, settings)


def test_training_needs_memory_for_its_weights_and_what_a_step_holds() -> None:
    found = stages(config())
    weights, tokens = 4 * COSTS.parameters, 8 * 8 * 50
    used = COSTS.resident_bytes + RUN_BYTES + KERNEL_BYTES
    assert found["train · round 1"].memory == used + 3 * weights + tokens * 10_000
    assert found["train · round 1"].disk == weights
    bounded = stages(config(training={"graph_tokens": 1000}))
    assert bounded["train · round 1"].memory == used + 3 * weights + 1000 * 10_000
    gpu = stages(config(), replace(COSTS, device="NVIDIA H100"))
    assert gpu["train · round 1"].memory == found["train · round 1"].memory - KERNEL_BYTES


def test_pairs_per_round_bound_the_training() -> None:
    found = stages(config(training={"pairs_per_round": 320, "epochs": 9}))
    assert found["train · round 1"].units == 320
    assert stages(config(training={"epochs": 3}))["train · round 1"].units == 3 * 480


def test_the_dominant_stage_is_that_of_all_parts_together() -> None:
    found = list(stages(config()).values())
    assert dominant(found)[0] == "train"
    slow = replace(COSTS, score_token=0.02, train_token=0.001)
    name, share = dominant(list(stages(config(), slow).values()))
    assert name == "rerank"
    assert 0.5 < share < 1


def test_costs_are_kept_and_what_cannot_be_read_is_not(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "costs.json"
    assert UnitCosts.kept(path) is None
    COSTS.keep(path)
    assert UnitCosts.kept(path) == COSTS
    path.write_text('{"device": "cpu"}')
    assert UnitCosts.kept(path) is None
