"""Vectors of packed texts are those of `SentenceTransformer.encode`, for whatever can be packed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize

from strop.pipeline.config import BiEncoder
from strop.pipeline.errors import InputError
from strop.pipeline.first_stage import encoding
from strop.pipeline.first_stage.encoding import Encoder
from strop.pipeline.first_stage.packed_texts import PackedTexts
from strop.pipeline.models import resolve_model
from tests.world import COMMON, RARE, pooled, tiny_model, tiny_roberta

TEXTS = [" ".join(RARE[:count]) for count in (3, 40, 1, 12, 12, 7)] + ["", "balo"]
TEXTS += [" ".join((COMMON + RARE)[:200]), " ".join(RARE[5:23])]
BUILDS = {"bert": tiny_model, "roberta": tiny_roberta}


def made(folder: Path, build: str = "bert", pooling: str | tuple[str, ...] = "mean") -> Path:
    return pooled(BUILDS[build](folder), pooling)


def encoded(
    folder: Path, config: BiEncoder, prompt: str = "", *, packed: bool = True
) -> np.ndarray:
    encoder = Encoder(resolve_model(str(folder)), config)
    assert (encoder._packed is not None) == packed
    return encoder.encode(TEXTS, prompt=prompt)


def expected(folder: Path, max_tokens: int = 128, prompt: str = "") -> np.ndarray:
    """A text at a time: padding gets lost in the sums of none."""
    peer = SentenceTransformer(str(folder), device="cpu")
    peer.max_seq_length = max_tokens
    return peer.encode(TEXTS, prompt=prompt, batch_size=1, normalize_embeddings=True)


@pytest.mark.parametrize("prompt", ["", "sulo vami "])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("build", BUILDS)
def test_vectors_are_those_of_sentence_transformers(
    build: str, pooling: str, prompt: str, tmp_path: Path
) -> None:
    folder = made(tmp_path, build, pooling)
    for tokens, budget in ((128, 64), (128, 2048), (16, 100)):
        found = encoded(folder, BiEncoder(max_tokens=tokens, batch_tokens=budget), prompt)
        wanted = expected(folder, tokens, prompt)
        assert wanted.std(axis=0).min() > 0.005  # texts differ
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_texts_that_are_tokenized_apart_keep_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "TOKENIZED_TEXTS", 3)
    folder = made(tmp_path)
    np.testing.assert_allclose(encoded(folder, BiEncoder()), expected(folder), atol=1e-5)


def test_no_texts_have_no_vectors(tmp_path: Path) -> None:
    encoder = Encoder(resolve_model(str(made(tmp_path))), BiEncoder())
    assert encoder.encode([], prompt="").shape == (0, 32)


def test_vectors_are_as_long_as_the_model_says(tmp_path: Path) -> None:
    folder = made(tmp_path)
    model = SentenceTransformer(str(folder), device="cpu", similarity_fn_name="dot")
    model.save(str(folder), create_model_card=False)
    found = encoded(folder, BiEncoder())
    plain = model.encode(TEXTS, batch_size=1)
    assert np.abs(np.linalg.norm(plain, axis=1) - 1).min() > 0.01
    np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-5)
    model.append(Normalize())
    model.save(str(folder), create_model_card=False)
    np.testing.assert_allclose(encoded(folder, BiEncoder()), model.encode(TEXTS), atol=1e-5)


@pytest.mark.parametrize("pooling", ["max", "lasttoken", ("mean", "cls")])
def test_another_pooling_is_left_to_sentence_transformers(
    pooling: str | tuple[str, ...], tmp_path: Path
) -> None:
    folder = made(tmp_path, pooling=pooling)
    found = encoded(folder, BiEncoder(batch_tokens=100), packed=False)
    np.testing.assert_allclose(found, expected(folder), atol=1e-5)


def test_a_prompt_that_is_not_pooled_is_left_to_sentence_transformers(tmp_path: Path) -> None:
    folder = pooled(tiny_model(tmp_path), include_prompt=False)
    found = encoded(folder, BiEncoder(), "sulo vami ", packed=False)
    np.testing.assert_allclose(found, expected(folder, prompt="sulo vami "), atol=1e-5)


@pytest.mark.parametrize("changes", [{"truncate_dim": 16}, {"padding_side": "left"}])
def test_what_changes_inputs_or_vectors_is_not_packed(
    changes: dict[str, int | str], tmp_path: Path
) -> None:
    model = SentenceTransformer(str(made(tmp_path)), device="cpu")
    assert PackedTexts.by(model, "fp32") is not None
    model.truncate_dim = changes.get("truncate_dim")
    model.tokenizer.padding_side = changes.get("padding_side", "right")
    assert PackedTexts.by(model, "fp32") is None


def test_texts_without_special_tokens_are_not_packed(tmp_path: Path) -> None:
    model = SentenceTransformer(str(made(tmp_path)), device="cpu")
    model.tokenizer.backend_tokenizer.post_processor = None
    assert PackedTexts.by(model, "fp32") is None  # an empty one has no token at all


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_vectors_in_16_bits_are_close_and_of_length_one_in_32(pooling: str, tmp_path: Path) -> None:
    folder = made(tmp_path, pooling=pooling)
    config = BiEncoder(precision="bf16")
    found = encoded(folder, config, packed=pooling == "mean")
    wanted = expected(folder)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert (found * wanted).sum(axis=1).min() > 0.999
    assert np.abs(found - wanted).max() > 1e-4, "they are no fp32 vectors"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has fp16")
def test_a_precision_that_the_device_lacks_is_refused(bi_encoder_folder: Path) -> None:
    folder = resolve_model(str(bi_encoder_folder))
    with pytest.raises(InputError, match=r"bi-encoder .*: precision = fp16 needs a CUDA GPU"):
        Encoder(folder, BiEncoder(precision="fp16"))


def test_a_norm_that_something_follows_is_not_applied_once_more(tmp_path: Path) -> None:
    torch.manual_seed(1)
    transformer, pooling = SentenceTransformer(str(made(tmp_path / "base")), device="cpu")
    modules = [transformer, pooling, Normalize(), Dense(32, 16)]
    peer = SentenceTransformer(modules=modules, device="cpu", similarity_fn_name="dot")
    peer.save(str(tmp_path / "dense"), create_model_card=False)
    found = encoded(tmp_path / "dense", BiEncoder(), packed=False)
    np.testing.assert_allclose(found, peer.encode(TEXTS), atol=1e-5)
    assert np.abs(np.linalg.norm(found, axis=1) - 1).min() > 0.01


def test_a_model_that_is_stored_in_16_bits_encodes_in_32(tmp_path: Path) -> None:
    peer = SentenceTransformer(str(made(tmp_path / "whole")), device="cpu").half()
    peer.save(str(tmp_path / "half"), create_model_card=False)
    found = encoded(tmp_path / "half", BiEncoder())
    wanted = peer.float().encode(TEXTS, batch_size=1, normalize_embeddings=True)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_vectors_are_read_before_a_device_holds_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "HELD_TEXTS", 1)
    held = []
    read = encoding._read
    monkeypatch.setattr(
        encoding, "_read", lambda found, made: (held.append(len(found)), read(found, made))
    )
    found = encoded(made(tmp_path), BiEncoder(batch_tokens=64))
    np.testing.assert_allclose(found, expected(tmp_path), atol=1e-5)
    assert held == [1, 1, 1, 0]
