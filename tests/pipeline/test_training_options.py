"""Each option of a training does what the config says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
)

from strop.pipeline.config import Lora
from strop.pipeline.errors import InputError
from strop.pipeline.scoring.precision import resolved_precision
from strop.pipeline.scoring.reranker import LoadedReranker, load_reranker, save_reranker
from strop.pipeline.training import adapters
from strop.pipeline.training.arguments import training_arguments
from strop.pipeline.training.averaging import average_weights
from strop.pipeline.training.model_card import model_card
from strop.pipeline.training.preparation import dropout_of
from strop.pipeline.training.train import Surroundings, training_summary
from tests.pipeline.training_world import config, fit, trainer_of, weights
from tests.world import tiny_model


def tiny_modernbert(**settings: Any) -> ModernBertForSequenceClassification:
    """A model that holds its attention's dropout as a number."""
    return ModernBertForSequenceClassification(
        ModernBertConfig(
            vocab_size=50,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            num_labels=1,
            pad_token_id=0,
            **settings,
        )
    )


@pytest.mark.parametrize(
    "training",
    [
        {"precision": "bf16"},
        {"gradients": "two_pass", "micro_batch_tokens": 64},
        {"losses": [{"name": "kl"}, {"name": "binary_cross_entropy", "weight": 0.5}]},
        {"gradient_checkpointing": True, "lora": {"rank": 2}, "dropout": 0.0},
        {"pairs_per_round": 20},
    ],
)
def test_every_option_trains(reranker_folder: Path, training: dict[str, Any]) -> None:
    before = weights(load_reranker(reranker_folder))
    trained = fit(reranker_folder, config(**training))
    assert weights(trained) != before
    assert all(weight.isfinite().all() for weight in trained.reranker.model.parameters())
    assert all(weight.dtype == torch.float32 for weight in trained.reranker.model.parameters())


def test_a_budget_of_pairs_is_met(reranker_folder: Path) -> None:
    summary = training_summary(fit(reranker_folder, config(pairs_per_round=150)))
    assert 144 < summary["pairs"] <= 150


def test_the_warm_start_is_for_a_fresh_head_whatever_the_round(reranker_folder: Path) -> None:
    warm = config(warm_start_share=0.5)
    plain = fit(reranker_folder, config()).log["loss"].to_pylist()
    assert fit(reranker_folder, warm).log["loss"].to_pylist() == plain
    second = fit(reranker_folder, config(), 2).log
    assert fit(reranker_folder, warm, 2).log.equals(second)
    assert fit(reranker_folder, warm, 2, fresh_head=True).log["loss"][0] != second["loss"][0]
    started = fit(reranker_folder, warm, fresh_head=True).log["loss"].to_pylist()
    assert started[0] != plain[0]
    assert len(started) == len(plain) == 3


def test_average_weights_by_hand(reranker_folder: Path, tmp_path: Path) -> None:
    base, last = load_reranker(reranker_folder), load_reranker(reranker_folder)
    other = load_reranker(tiny_model(tmp_path / "other", seed=5, one_logit=True))
    expected = {
        name: ((weight + other.model.state_dict()[name]) / 2).numpy()
        for name, weight in base.model.state_dict().items()
    }
    for name, weight in average_weights(last, other).model.state_dict().items():
        np.testing.assert_allclose(weight.numpy(), expected[name], atol=1e-6)
    same = weights(average_weights(base, load_reranker(reranker_folder)))
    assert same == weights(load_reranker(reranker_folder))


def test_different_architectures_have_no_average(reranker_folder: Path) -> None:
    loaded = load_reranker(reranker_folder)
    other = LoadedReranker(tiny_modernbert(), loaded.tokenizer)
    with pytest.raises(InputError, match=r"training\.start = average: .*different architectures"):
        average_weights(loaded, other)


def test_dropout_reaches_modules_numbers_and_the_config_and_comes_back() -> None:
    model = tiny_modernbert(attention_dropout=0.25, mlp_dropout=0.5, classifier_dropout=0.75)

    def found() -> list[float]:
        modules = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
        numbers = [
            value for m in model.modules() for n, value in vars(m).items() if n.endswith("dropout")
        ]
        config = [value for name, value in vars(model.config).items() if "dropout" in name]
        return [value for value in modules + numbers + config if isinstance(value, float)]

    before = found()
    assert {0.25, 0.5, 0.75} <= set(before)
    with dropout_of(model, 0.125):
        assert set(found()) == {0.125}
    assert found() == before
    with dropout_of(model, None):
        assert found() == before


def test_without_dropout_the_random_state_does_not_matter(reranker_folder: Path) -> None:
    one_step = {"groups_per_step": 12}  # all groups in one step: the seed orders them only
    first, second = (
        fit(reranker_folder, config(seed=seed, dropout=0.0, **one_step)).log["loss"][0].as_py()
        for seed in (1, 2)
    )
    assert first == pytest.approx(second, abs=1e-5)
    own = fit(reranker_folder, config(**one_step)).log["loss"][0].as_py()
    assert abs(own - first) > 1e-4


def test_precision_is_what_the_device_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolved_precision("auto", "training.precision") == "fp32"
    assert resolved_precision("bf16", "training.precision") == "bf16"
    with pytest.raises(InputError, match=r"training\.precision = fp16 needs a CUDA GPU"):
        resolved_precision("fp16", "training.precision")


def test_several_gpus_do_not_share_a_step(tmp_path: Path) -> None:
    settings = config(groups_per_step=5).training
    arguments = training_arguments(tmp_path, settings, seed=1)
    assert arguments.n_gpu <= 1
    assert arguments.train_batch_size == 5


def test_adapters_train_alone_with_the_head_and_the_saved_model_is_plain(
    reranker_folder: Path, tmp_path: Path
) -> None:
    before = weights(load_reranker(reranker_folder))
    settings = config(lora={"rank": 2, "target_modules": ["query", "dense"]}, epochs=2)
    trained = fit(reranker_folder, settings)
    after = weights(trained)
    assert after.keys() == before.keys()
    changed = {name for name in before if before[name] != after[name]}
    kinds = ("query.weight", "dense.weight", "pooler", "classifier")
    assert changed == {name for name in before if any(kind in name for kind in kinds)}
    save_reranker(trained.reranker, tmp_path, max_tokens=64, card="# Card\n")
    assert not list(tmp_path.glob("adapter*"))
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert {n: w.numpy().tobytes() for n, w in plain.state_dict().items()} == after
    assert type(trained.reranker.model) is type(plain)


def test_the_last_layer_gives_its_first_token_alone_with_adapters_too(
    reranker_folder: Path, tmp_path: Path
) -> None:
    loaded = load_reranker(reranker_folder)
    adapters.add_adapters(loaded.model, Lora(rank=2), seed=1)
    places: list[int] = []
    last = loaded.model.bert.encoder.layer[1].intermediate
    last.register_forward_hook(lambda module, inputs, output: places.append(output[..., 0].numel()))
    trainer = trainer_of(loaded, config(), tmp_path)
    batch = trainer.data_collator([0, 1])
    trainer.training_step(loaded.model, batch)
    assert sum(places) == batch["groups"].offsets[-1]
    names = [n for n, w in loaded.model.named_parameters() if w.grad is not None]
    assert any("lora_B" in name for name in names)
    assert all("lora_" in n or "pooler" in n or n.startswith("classifier") for n in names)


def test_adapters_are_drawn_from_the_seed(reranker_folder: Path) -> None:
    def drawn(seed: int) -> list[float]:
        model = load_reranker(reranker_folder).model
        adapters.add_adapters(model, Lora(rank=2), seed=seed)
        return [w.sum().item() for n, w in model.named_parameters() if "lora_A" in n]

    assert drawn(1) == drawn(1) != drawn(2)


def test_modules_that_the_model_lacks_are_refused(reranker_folder: Path) -> None:
    with pytest.raises(InputError) as raised:
        fit(reranker_folder, config(lora={"target_modules": ["query", "q_proj"]}))
    assert str(raised.value) == (
        "training.lora.target_modules: the model has no module 'q_proj'; it has "
        "dense, query, key, value"
    )
    with pytest.raises(InputError, match=r"target_modules is empty.*modernbert.*Wqkv"):
        adapters.add_adapters(tiny_modernbert(), Lora(), seed=1)


def test_without_peft_the_error_says_how_to_install_it(
    reranker_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(InputError, match=r"pip install 'strop\[lora\]'"):
        fit(reranker_folder, config(lora={}))


def test_an_unknown_tracker_is_refused_and_its_name_told(
    reranker_folder: Path, tmp_path: Path
) -> None:
    settings = config(execution={"report_to": ["no-such-tracker"]})
    (tmp_path / "checkpoint-2").mkdir()
    with pytest.raises(InputError, match=r"execution\.report_to = no-such-tracker: "):
        fit(reranker_folder, settings, surroundings=Surroundings(checkpoints=tmp_path))
    assert (tmp_path / "checkpoint-2").exists()


def test_the_card_tells_data_lineage_training_and_dev() -> None:
    settings = config(lora={"rank": 4}, losses=[{"name": "circle", "weight": 2}])
    summary = {"pairs": 1234, "tokens": 99, "steps": 7, "dev nDCG@10": 0.75}
    lineage = {"dataset": "dataset abc", "reranker": "reranker def", "negatives": "negatives 123"}
    card = model_card(settings, round_number=2, lineage=lineage, queries=12, summary=summary)
    front = card.split("---")[1]
    assert "library_name: sentence-transformers" in front
    for row in (
        "| data set | `dataset abc` |",
        "| queries | 12 |",
        "| pairs | 1,234 |",
        "| reranker | `reranker def` |",
        "| losses | circle (weight 2, margin 0.25, scale 16) |",
        "| learning rate | 0.001 |",
        "| lora rank | 4 |",
        "| steps | 7 |",
        "| dev nDCG@10 | 0.75 |",
    ):
        assert f"{row}\n" in card, row
    assert "# Reranker, round 2 of 2" in card
