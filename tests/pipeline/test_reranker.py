import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLNetConfig,
    XLNetForSequenceClassification,
)

from strop.pipeline.config import Reranker
from strop.pipeline.errors import InputError
from strop.pipeline.scoring.reranker import (
    LoadedReranker,
    check_positions,
    initialise,
    load_reranker,
    save_reranker,
)
from strop.pipeline.scoring.scorer import Scorer
from tests.world import COMMON, bert_tokenizer, pair_source, roberta_tokenizer, tiny_model

LAYERS = {"layers": 1, "attention_heads": 2}


def begin(
    folder: Path, seed: int = 1, *, replace_head: bool = False
) -> tuple[LoadedReranker, bool]:
    return initialise(folder, "base", seed=seed, trust_remote_code=False, replace_head=replace_head)


def head(loaded: LoadedReranker) -> torch.Tensor:
    weight: torch.Tensor = loaded.model.classifier.weight
    return weight.detach()


def test_a_base_without_a_head_gets_a_fresh_one_drawn_from_the_seed(
    bi_encoder_folder: Path,
) -> None:
    loaded, fresh = begin(bi_encoder_folder)
    assert fresh
    assert head(loaded).shape == (1, 32)
    torch.manual_seed(77)  # the state that other code leaves behind must not matter
    assert torch.equal(head(loaded), head(begin(bi_encoder_folder)[0]))
    assert not torch.equal(head(loaded), head(begin(bi_encoder_folder, seed=2)[0]))


def test_a_trained_one_logit_head_is_kept(reranker_folder: Path) -> None:
    loaded, fresh = begin(reranker_folder)
    assert not fresh
    stored = load_file(reranker_folder / "model.safetensors")
    assert torch.equal(head(loaded), stored["classifier.weight"])
    assert loaded.num_parameters == sum(weight.numel() for weight in stored.values())


def test_a_head_of_three_labels_is_replaced_only_when_asked_and_the_body_kept(
    tmp_path: Path,
) -> None:
    folder = tiny_model(tmp_path / "three", seed=5, one_logit=False)
    with pytest.raises(InputError) as caught:
        begin(folder)
    assert str(caught.value) == (
        "reranker 'base': has a trained head with 3 logits, expected one; "
        "of reranker.base, reranker.replace_head = true draws a fresh one"
    )
    loaded, fresh = begin(folder, replace_head=True)
    assert fresh
    assert head(loaded).shape == (1, 32)
    stored = load_file(folder / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(loaded.model.state_dict()[name], stored[name])


def test_more_tokens_than_positions_are_refused(reranker_folder: Path) -> None:
    loaded, _ = begin(reranker_folder)
    check_positions(loaded, "base", 128)
    with pytest.raises(InputError) as caught:
        check_positions(loaded, "base", 129)
    assert str(caught.value) == "reranker.max_tokens = 129: base 'base' reads at most 128 tokens"


def test_positions_that_a_roberta_keeps_for_padding_are_not_counted(tmp_path: Path) -> None:
    config = RobertaConfig(
        vocab_size=300,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=34,
        pad_token_id=1,
        num_labels=1,
    )
    loaded = LoadedReranker(RobertaForSequenceClassification(config).eval(), roberta_tokenizer())
    check_positions(loaded, "base", 32)
    loaded.model(input_ids=torch.full((1, 32), 5))
    with pytest.raises(InputError, match="reads at most 32 tokens"):
        check_positions(loaded, "base", 33)
    with pytest.raises((IndexError, RuntimeError)):
        loaded.model(input_ids=torch.full((1, 33), 5))


@pytest.fixture
def copy(reranker_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(reranker_folder, tmp_path / "copy"))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reranker 'base': cannot be loaded \("):
        begin(tmp_path)


def test_an_unknown_architecture_is_refused(copy: Path) -> None:
    values = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**values, "model_type": "no-such-model"}))
    with pytest.raises(InputError, match=r"reranker 'base': cannot be loaded \("):
        begin(copy)


def test_damaged_weights_are_refused(copy: Path) -> None:
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[:1000])
    with pytest.raises(InputError, match=r"reranker 'base': cannot be loaded \("):
        begin(copy)


def test_a_base_without_a_tokenizer_is_refused(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    (copy / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match="reranker 'base': its tokenizer has no words"):
        begin(copy)


def renamed(folder: Path, name_of: Callable[[str], str | None]) -> None:
    """Save the weights of a folder under other names, or leave some out."""
    path = folder / "model.safetensors"
    weights = {name_of(name): weight for name, weight in load_file(path).items()}
    kept = {name: weight for name, weight in weights.items() if name is not None}
    save_file(kept, path, metadata={"format": "pt"})


def test_a_base_that_lacks_a_weight_of_its_body_is_refused(copy: Path) -> None:
    gone = "bert.encoder.layer.1.output.dense.weight"
    renamed(copy, lambda name: None if name == gone else name)
    with pytest.raises(InputError, match=f"reranker 'base': its safetensors .* no weight '{gone}'"):
        begin(copy)


def test_weights_under_other_names_are_no_fresh_head(copy: Path) -> None:
    renamed(copy, lambda name: f"module.{name}")
    with pytest.raises(InputError, match="have no weight"):
        begin(copy)


def test_a_body_of_another_shape_is_no_head_of_many_logits(copy: Path) -> None:
    values = json.loads((copy / "config.json").read_text())
    words = values["vocab_size"]
    (copy / "config.json").write_text(json.dumps({**values, "vocab_size": words + 7}))
    name = "bert.embeddings.word_embeddings.weight"
    with pytest.raises(InputError) as caught:
        begin(copy, replace_head=True)
    assert str(caught.value) == (
        f"reranker 'base': weight '{name}' has shape ({words}, 32), expected ({words + 7}, 32) "
        "by its config.json"
    )


def decoder(folder: Path, padding: str | None) -> Path:
    """A decoder that knows no padding token, beside a tokenizer that may have one."""
    sizes = dict.fromkeys(("hidden_size", "intermediate_size"), 16)
    heads = dict.fromkeys(("num_hidden_layers", "num_attention_heads"), 2)
    config = LlamaConfig(vocab_size=400, num_labels=1, **sizes, **heads)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tokenizer = bert_tokenizer()
    tokenizer.pad_token = padding
    tokenizer.save_pretrained(folder)
    return folder


def test_a_decoder_takes_the_padding_token_of_its_tokenizer(tmp_path: Path) -> None:
    loaded, _ = begin(decoder(tmp_path, "[PAD]"))
    two = torch.tensor([[7, 8, 0], [7, 8, 9]])
    with torch.inference_mode():
        first = loaded.model(input_ids=two, attention_mask=(two > 0).long()).logits[0]
        torch.testing.assert_close(first, loaded.model(input_ids=two[:1, :2]).logits[0])


def test_a_decoder_without_any_padding_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reranker 'base': padding on .* has no pad_token"):
        begin(decoder(tmp_path, None))


def test_a_model_that_scores_by_the_last_place_is_refused(tmp_path: Path) -> None:
    sizes = {"vocab_size": 400, "d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16}
    config = XLNetConfig(num_labels=1, initializer_range=0.5, **sizes)
    torch.manual_seed(0)
    XLNetForSequenceClassification(config).save_pretrained(tmp_path)
    bert_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"padding on the right changes .*; found xlnet with"):
        begin(tmp_path)


def test_a_decoder_is_told_another_padding_token_than_its_own(tmp_path: Path) -> None:
    folder = decoder(tmp_path, "[PAD]")
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "pad_token_id": 5}))
    assert begin(folder)[0].model.config.pad_token_id == 0


def test_an_end_token_that_a_text_spells_is_words_to_an_encoder_decoder(tmp_path: Path) -> None:
    """BART's score stands at the last one of a pair; HTML ends what is struck through with it."""
    sizes = {"d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "init_std": 0.3}
    layers = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in LAYERS.items()}
    tokenizer = roberta_tokenizer()
    config = BartConfig(vocab_size=len(tokenizer), num_labels=1, **sizes, **layers)
    BartForSequenceClassification(config).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")

    begun, _ = begin(tmp_path / "base")
    save_reranker(begun, tmp_path / "saved", max_tokens=64, card="")
    query, passages = COMMON[0], {"struck": f"{COMMON[1]} </s> {COMMON[2]}", "short": COMMON[1]}
    peer = CrossEncoder(str(tmp_path / "saved"), activation_fn=torch.nn.Identity())
    expected = peer.predict([(query, passage) for passage in passages.values()])
    for loaded in (begun, load_reranker(tmp_path / "saved")):
        source = pair_source(loaded.tokenizer, {"q": query}, passages)
        scorer = Scorer(loaded, source, Reranker(max_tokens=64, max_query_tokens=16))
        found = scorer.score_rows(np.array([0, 0]), np.array([0, 1]))
        np.testing.assert_allclose(found, expected, atol=1e-5)
