"""What a base cannot be trained with is told before any work."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from strop.pipeline.errors import InputError
from strop.pipeline.training.trainability import check_trainable, without_weights
from tests.pipeline.training_world import config


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"precision": "fp16"}, r"training\.precision = fp16 needs a CUDA GPU"),
        (
            {"lora": {"target_modules": ["query", "q_proj"]}},
            r"training\.lora\.target_modules: the model has no module 'q_proj'; it has dense",
        ),
        (
            {"lora": {"target_modules": ["LayerNorm"]}},
            r"training\.lora\.target_modules = LayerNorm: Target module LayerNorm.* such as dense",
        ),
        ({"frozen_layers": 2}, r"training\.frozen_layers = 2: the model has 2 layers"),
    ],
)
def test_the_key_is_named(
    reranker_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    training: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=message):
        check_trainable(reranker_folder, config(**training))


def test_without_peft_adapters_are_refused(
    reranker_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(InputError, match=r"training\.lora needs peft"):
        check_trainable(reranker_folder, config(lora={}))


def test_layers_that_cannot_be_recomputed_are_refused(
    reranker_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PreTrainedModel, "supports_gradient_checkpointing", False)
    monkeypatch.setattr(
        "transformers.models.bert.modeling_bert.BertPreTrainedModel.supports_gradient_checkpointing",
        False,
    )
    with pytest.raises(InputError, match=r"training\.gradient_checkpointing = true: Bert"):
        check_trainable(reranker_folder, config(gradient_checkpointing=True))


def test_an_unknown_tracker_is_refused(reranker_folder: Path) -> None:
    settings = config(execution={"report_to": ["no-such-tracker"]})
    with pytest.raises(InputError, match=r"execution\.report_to = no-such-tracker: "):
        check_trainable(reranker_folder, settings)


@pytest.mark.parametrize("name", ["none", "all"])
def test_words_for_whole_lists_of_trackers_are_taken(reranker_folder: Path, name: str) -> None:
    check_trainable(reranker_folder, config(execution={"report_to": [name]}))


def test_what_can_be_trained_passes(reranker_folder: Path) -> None:
    check_trainable(reranker_folder, config(lora={"rank": 2}, gradient_checkpointing=True))
    check_trainable(reranker_folder, config(frozen_layers=1, precision="bf16"))


def test_the_model_that_is_looked_at_holds_no_weights(reranker_folder: Path) -> None:
    model = without_weights(reranker_folder, trust_remote_code=False)
    assert {weight.device.type for weight in model.parameters()} == {"meta"}


def test_an_unknown_architecture_is_refused(reranker_folder: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(reranker_folder, tmp_path / "base"))
    (base / "config.json").write_text('{"model_type": "no-such-model"}')
    with pytest.raises(InputError, match=r"reranker\.base 'base': cannot be loaded \("):
        check_trainable(base, config(frozen_layers=1))


def test_the_precision_of_scoring_is_asked_where_this_host_scores(
    reranker_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = config()
    half = settings.reranker.model_copy(update={"precision": "fp16"})
    settings = settings.model_copy(update={"reranker": half})
    with pytest.raises(InputError, match=r"reranker\.precision = fp16 needs a CUDA GPU"):
        check_trainable(reranker_folder, settings)
    workers = settings.execution.model_copy(update={"runner": "ray"})
    check_trainable(reranker_folder, settings.model_copy(update={"execution": workers}))
