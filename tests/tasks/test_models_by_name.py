"""A reranker of the store as the base of another: by id, on any host, and in the lineage."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.runs import Run
from strop.artifacts.upkeep.discard import discard
from strop.pipeline.config import BiEncoder, Config, Reranker
from strop.pipeline.data.splits import SplitRule
from strop.pipeline.errors import InputError
from strop.pipeline.progress import SILENT
from strop.tasks import model_weights
from strop.tasks.encode import encode
from strop.tasks.import_data import beir_request, import_request
from strop.tasks.import_model import import_model
from strop.tasks.initialise import initialise
from strop.tasks.shards import Stage
from strop.tasks.stage import Place
from strop.tasks.trainable import check_training


def done(stage: Any, *arguments: Any) -> ArtifactRef:
    result = stage.fn(*arguments)
    return result if isinstance(result, ArtifactRef) else result.data


@pytest.fixture
def place(bucket: str) -> Place:
    return Place(bucket, "tiny", "prepare")


def base_of(place: Place, name: str) -> tuple[ArtifactRef, ArtifactRef]:
    model = done(import_model, place, name)
    return model, done(initialise, place, model, Reranker(base=name, max_tokens=32), 1)


def test_the_next_reranker_descends_from_one_named_by_its_id(
    place: Place, reranker_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, first = base_of(place, str(reranker_folder))
    monkeypatch.setenv("STROP_CACHE", str(tmp_path / "another host"))
    model, second = base_of(place, first.id[:8])
    store = place.open()
    assert store.manifest(model).inputs == {"reranker": first}
    assert not store.manifest(second).summary["fresh_head"]
    weights = [store.file(item, "model.safetensors").read_bytes() for item in (first, second)]
    assert weights[0] == weights[1]


def test_a_model_that_is_replaced_before_its_use_is_refused(
    reranker_folder: Path, bi_encoder_folder: Path, beir_folder: Path, tmp_path: Path
) -> None:
    """What is made of it would else bear the id of the model that was there before."""
    place = Place(str(tmp_path / "store"), "tiny", "prepare")
    folder = Path(shutil.copytree(bi_encoder_folder, tmp_path / "model"))
    name, model = str(folder), done(import_model, place, str(folder))
    dataset = done(import_request, place, beir_request(beir_folder, SplitRule()))
    shutil.copyfile(reranker_folder / "model.safetensors", folder / "model.safetensors")
    changed = r"model '.*': model\.safetensors changed while it was used; run again"
    with pytest.raises(InputError, match=changed):
        done(initialise, place, model, Reranker(base=name, max_tokens=32), 1)
    with pytest.raises(InputError, match=changed):
        done(encode, place, dataset, model, BiEncoder(model=name, max_tokens=32))
    assert {item.kind for item in place.open().artifacts()} == {"model", "dataset"}


def test_workers_on_other_hosts_get_the_model_that_was_fingerprinted(
    bi_encoder_folder: Path, reranker_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_weights, "current", lambda: SimpleNamespace(shares_disk=False))
    place = Place(str(tmp_path / "store"), "tiny", "prepare")
    folder, store = Path(shutil.copytree(bi_encoder_folder, tmp_path / "model")), place.open()
    model = done(import_model, place, str(folder))
    with store.attempt(Recipe("embeddings", "encode", 1, {}, {"model": model})) as attempt:
        stage = Stage(store, attempt, SILENT)
        weights = model_weights.weights_for_workers(stage, model, str(folder))
        copied = model_weights.model_folder(store, model, str(folder), weights)
        assert (copied.path / "config.json").read_bytes() == (folder / "config.json").read_bytes()
        discard(store, attempt.shards)
        shutil.copyfile(reranker_folder / "model.safetensors", folder / "model.safetensors")
        with pytest.raises(InputError, match=r"model\.safetensors changed while"):
            model_weights.weights_for_workers(stage, model, str(folder))
    assert {item.kind for item in store.artifacts()} == {"model"}


def test_what_is_no_reranker_is_refused_before_any_work(
    place: Place, reranker_folder: Path
) -> None:
    model, _ = base_of(place, str(reranker_folder))
    config = Config.model_validate(
        {"dataset": "d", "reranker": {"base": model.id}, "training": {"lora": {}}}
    )
    with pytest.raises(InputError, match=f"reranker.base: '{model.id}' is a model artifact"):
        check_training(config, place.open())
    with pytest.raises(InputError, match="model: artifact 'abcdef': none in the store"):
        base_of(place, "abcdef")


def test_a_run_that_has_trained_is_not_asked_again(place: Place, reranker_folder: Path) -> None:
    _, reranker = base_of(place, str(reranker_folder))
    config = Config.model_validate(
        {
            "name": place.run,
            "dataset": "d",
            "reranker": {"base": reranker.id},
            "training": {"frozen_layers": 99},
        }
    )
    store = place.open()
    run = Run(store, config.name)
    with run.lease() as lease:
        run.record(lease, "prepare", {"reranker": reranker})
        with pytest.raises(InputError, match=r"training\.frozen_layers = 99: the model has 2"):
            check_training(config, store)
        run.record(lease, "round-001", {"reranker": reranker})
        check_training(config, store)
