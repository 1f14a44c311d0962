"""A plan refuses what the run would refuse at its start, and leaves nothing."""

from pathlib import Path
from typing import Any

import pytest

from strop.artifacts.store import Store
from strop.flows.plan import plan
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.tasks.import_data import configured_request, import_request
from strop.tasks.review import keep_verdicts
from strop.tasks.stage import Place
from tests.world import tiny_model

LIMITS = {"max_tokens": 32, "max_query_tokens": 12, "batch_tokens": 512}


@pytest.fixture
def planned(tmp_path: Path, beir_folder: Path, bi_encoder_folder: Path) -> Any:
    """The plan of a config with other values, without a store or with the one named."""

    def found(store: Store | None = None, **changes: dict[str, Any]) -> Any:
        values: dict[str, Any] = {
            "dataset": str(beir_folder),
            "bi_encoder": {"model": str(bi_encoder_folder), "max_tokens": 32},
            "reranker": {"base": str(bi_encoder_folder), **LIMITS},
        }
        for key, value in changes.items():
            values[key] = {**values.get(key, {}), **value}
        config = Config.model_validate(values)
        return plan(config, store, devices=1, state=tmp_path / "state")

    return found


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"evaluation": {"slices": ["language"]}},
            "evaluation.slices: no query has a field 'language'",
        ),
        ({"evaluation": {"calibration": "isotonic"}}, "evaluation.calibration = 'isotonic': dev"),
        (
            {"evaluation": {"off_the_shelf": "./none"}},
            "evaluation.off_the_shelf = './none': no",
        ),
        ({"mining": {"teacher": "./none"}}, "mining.teacher = './none': no such folder"),
        ({"mining": {"teacher": "given"}}, "mining.teacher = 'given': dataset .* came without"),
        ({"mining": {"verdicts": "0" * 16}}, "mining.verdicts = '0+': is an id, and there is no"),
        (
            {"mining": {"more_pools": [{"source": "given", "size": 6}]}},
            "source 'given': dataset .* came without negatives",
        ),
        (
            {"mining": {"more_pools": [{"source": "none.run", "size": 6}]}},
            r"mining.more_pools\[0\].source = 'none.run': no such retriever",
        ),
        (
            {
                "first_stage": {"more_encoders": {"other": {"model": "./none"}}},
                "mining": {"more_pools": [{"source": "other", "size": 6}]},
            },
            "first_stage.more_encoders.other.model = './none': no such folder",
        ),
        (
            {"decision": {"guard_sets": [{"name": "other", "dataset": "none"}]}},
            "decision.guard_sets, 'other': none: no such folder",
        ),
        ({"first_stage": {"index": {"type": "ivf_pq"}}}, "first_stage.index.type = 'ivf_pq'"),
        ({"reranker": {"max_tokens": 512}}, "reranker.max_tokens = 512: base .* at most 128"),
        ({"training": {"start": "average"}}, "training.start = 'average': .* gets a fresh head"),
    ],
)
def test_what_the_run_would_refuse_is_refused(
    planned: Any, changes: dict[str, Any], line: str
) -> None:
    with pytest.raises(InputError, match=line):
        planned(**changes)


def test_words_alone_are_planned_without_a_bi_encoder(planned: Any) -> None:
    found = planned(first_stage={"ranking": "bm25"}, bi_encoder={"model": "./none"})
    stages = {stage.stage for stage in found.stages}
    assert {"index words", "retrieve bm25"} <= stages
    assert "encode" not in stages
    assert found.costs.passage_tokens > found.costs.query_tokens > 0
    with pytest.raises(InputError, match=r"bi_encoder\.model = './none': no such folder"):
        planned(bi_encoder={"model": "./none"})


def test_another_model_that_is_no_reranker_is_refused(
    planned: Any, bi_encoder_folder: Path, tmp_path: Path
) -> None:
    for section, key in (("mining", "teacher"), ("evaluation", "off_the_shelf")):
        line = f"{section}.{key} = .*: has no trained head with one logit, expected a reranker"
        with pytest.raises(InputError, match=line):
            planned(**{section: {key: str(bi_encoder_folder)}})
    with pytest.raises(InputError, match="has a trained head with 3 logits"):
        planned(mining={"teacher": str(tiny_model(tmp_path / "three", one_logit=False))})


def test_run_files_guard_sets_and_verdicts_are_held_against_the_data(
    planned: Any, tmp_path: Path, beir_folder: Path
) -> None:
    run = tmp_path / "my.run"
    pools = {"more_pools": [{"source": str(run), "size": 6}]}
    run.write_text("train-1 Q0 p3 1 2 x\ntrain-1 Q0 D77 2 1 x\n")
    with pytest.raises(InputError, match=r"my\.run line 2: passage 'D77' is not in the data set"):
        planned(mining=pools)
    run.write_text("train-1 Q0 p3 1 2 x\ntrain-1 Q0 p4 2 1 x\n")
    with pytest.raises(InputError, match=r"line 1: 'p3' is a document .* such as 'p3#1'"):
        planned(mining=pools, data={"chunk_words": 12})

    config = Config.model_validate({"dataset": str(beir_folder)})
    place = Place(str(tmp_path / "store"), "tiny", "prepare")
    dataset = import_request.fn(place, configured_request(config))
    fitting = keep_verdicts(place, {("train-1", "p3"): "relevant"})
    other = keep_verdicts(place, {("train-1", "D77"): "relevant"})
    store = place.open()
    line = f"mining.verdicts = '{other.id}': has a verdict of query 'train-1' and passage 'D77'"
    with pytest.raises(InputError, match=line):
        planned(store, mining={"verdicts": other.id})

    before = sorted((tmp_path / "store").rglob("manifest.json"))
    guards = [
        {"name": name, "dataset": where, "split": "test"}
        for name, where in (("folder", str(beir_folder)), ("kept", dataset.id))
    ]
    found = planned(
        store, mining={"verdicts": fitting.id, **pools}, decision={"guard_sets": guards}
    )
    assert found.stages
    assert sorted((tmp_path / "store").rglob("manifest.json")) == before
