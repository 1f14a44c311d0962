import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Router, StaticEmbedding

from strop.pipeline.config import BiEncoder
from strop.pipeline.errors import InputError
from strop.pipeline.first_stage.encoding import (
    Encoder,
    passage_text,
    vector_column,
    vector_matrix,
    vector_table,
)
from strop.pipeline.models import resolve_model
from tests.world import COMMON, RARE, bert_tokenizer

TEXTS = [" ".join(RARE[:count]) for count in (3, 40, 1, 12, 12, 7)] + ["", "balo"]


@pytest.fixture(scope="module")
def peer(bi_encoder_folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(bi_encoder_folder))


def test_vectors_are_those_of_sentence_transformers(
    bi_encoder_folder: Path, peer: SentenceTransformer
) -> None:
    encoder = Encoder(resolve_model(str(bi_encoder_folder)), BiEncoder())
    found = encoder.encode(TEXTS, prompt="")
    assert found.shape == (8, 32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, peer.encode(TEXTS, normalize_embeddings=True), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_a_prompt_is_put_before_every_text(
    bi_encoder_folder: Path, peer: SentenceTransformer
) -> None:
    encoder = Encoder(resolve_model(str(bi_encoder_folder)), BiEncoder())
    found = encoder.encode(TEXTS, prompt="sulo vami ")
    expected = peer.encode(TEXTS, prompt="sulo vami ", normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - encoder.encode(TEXTS, prompt="")).max() > 0.01


def test_a_prompt_replaces_the_default_prompt_of_the_model(
    bi_encoder_folder: Path, tmp_path: Path, peer: SentenceTransformer
) -> None:
    prompted = SentenceTransformer(
        str(bi_encoder_folder), prompts={"any": "sulo vami "}, default_prompt_name="any"
    )
    prompted.save(str(tmp_path), create_model_card=False)
    encoder = Encoder(resolve_model(str(tmp_path)), BiEncoder())
    expected = peer.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(TEXTS, prompt=""), expected, atol=1e-5)


def test_texts_are_cut_at_max_tokens_special_tokens_included(bi_encoder_folder: Path) -> None:
    encoder = Encoder(resolve_model(str(bi_encoder_folder)), BiEncoder(max_tokens=8))
    long, cut, shorter = (" ".join(COMMON[:count]) for count in (50, 6, 5))
    found = encoder.encode([long, cut, shorter], prompt="")
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    assert np.abs(found[0] - found[2]).max() > 0.01


def test_a_model_is_never_asked_for_more_tokens_than_it_reads(bi_encoder_folder: Path) -> None:
    encoder = Encoder(resolve_model(str(bi_encoder_folder)), BiEncoder(max_tokens=4096))
    assert encoder.encode([" ".join(COMMON * 5)], prompt="").shape == (1, 32)


def test_a_folder_without_a_bi_encoder_is_refused(bi_encoder_folder: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(bi_encoder_folder, tmp_path / "broken"))
    (broken / "config.json").write_text('{"model_type": "no such architecture"}')
    with pytest.raises(InputError, match=r"bi-encoder .*broken': cannot be loaded \("):
        Encoder(resolve_model(str(broken)), BiEncoder())


def test_damaged_weights_are_refused(bi_encoder_folder: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(bi_encoder_folder, tmp_path / "broken"))
    weights = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(weights[:1000])
    with pytest.raises(InputError, match=r"bi-encoder .*broken': cannot be loaded \("):
        Encoder(resolve_model(str(broken)), BiEncoder())


def test_a_folder_without_a_tokenizer_is_refused(bi_encoder_folder: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(bi_encoder_folder, tmp_path / "broken"))
    (broken / "tokenizer.json").unlink()
    (broken / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match=r"bi-encoder .*broken': its tokenizer has no words"):
        Encoder(resolve_model(str(broken)), BiEncoder())


@pytest.mark.parametrize(
    ("similarity", "normalized", "taken"),
    [("dot", False, True), ("euclidean", False, False), ("euclidean", True, True),
     ("manhattan", True, False)],
)  # fmt: skip
def test_a_similarity_that_an_inner_product_does_not_rank_by_is_refused(
    bi_encoder_folder: Path, tmp_path: Path, similarity: str, normalized: bool, taken: bool
) -> None:
    modules = [*SentenceTransformer(str(bi_encoder_folder)), *([Normalize()] if normalized else [])]
    model = SentenceTransformer(modules=modules, similarity_fn_name=similarity, device="cpu")
    model.save(str(tmp_path), create_model_card=False)
    if not taken:
        with pytest.raises(InputError, match=f"similarity_fn_name is '{similarity}', expected cos"):
            Encoder(resolve_model(str(tmp_path)), BiEncoder())
        return
    found = Encoder(resolve_model(str(tmp_path)), BiEncoder()).encode(TEXTS, prompt="")
    vectors = model.encode(TEXTS)
    asked = model.similarity(vectors, vectors).numpy()
    best, expected = (
        np.argsort(-scores, kind="stable")[:, :3] for scores in (found @ found.T, asked)
    )
    np.testing.assert_array_equal(best, expected)


def test_static_embeddings_are_those_of_sentence_transformers(tmp_path: Path) -> None:
    static = StaticEmbedding(bert_tokenizer().backend_tokenizer, embedding_dim=16)
    peer = SentenceTransformer(modules=[static], device="cpu")
    peer.save(str(tmp_path), create_model_card=False)
    assert not (tmp_path / "config.json").exists(), "there is no transformer"
    found = Encoder(resolve_model(str(tmp_path)), BiEncoder(max_tokens=8)).encode(TEXTS, prompt="")
    np.testing.assert_allclose(found, peer.encode(TEXTS, normalize_embeddings=True), atol=1e-6)


def test_other_modules_for_passages_than_for_queries_are_refused(
    bi_encoder_folder: Path, tmp_path: Path
) -> None:
    query, passage = (list(SentenceTransformer(str(bi_encoder_folder))) for _ in range(2))
    router = Router.for_query_document(query, passage)
    SentenceTransformer(modules=[router], device="cpu").save(str(tmp_path), create_model_card=False)
    with pytest.raises(InputError, match=r"has a Router, .*, expected the same for both"):
        Encoder(resolve_model(str(tmp_path)), BiEncoder())


def test_a_passage_is_read_with_its_title() -> None:
    assert passage_text("Title", "text") == "Title text"
    assert passage_text("", "text") == "text"
    assert passage_text("Title", "") == "Title"


def test_vectors_come_back_from_their_table() -> None:
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    table = vector_table(pa.array(["a", "b", "c", "d"]), vector_column(matrix))
    np.testing.assert_array_equal(vector_matrix(table), matrix)
    np.testing.assert_array_equal(vector_matrix(table.slice(1, 2)), matrix[1:3])
    chunked = pa.concat_tables([table.slice(2, 2), table.slice(0, 1)])
    np.testing.assert_array_equal(vector_matrix(chunked), matrix[[2, 3, 0]])


def test_a_vector_that_is_no_number_ends_with_one_line(bi_encoder_folder: Path) -> None:
    encoder = Encoder(resolve_model(str(bi_encoder_folder)), BiEncoder())
    words = encoder._model[0].auto_model.get_input_embeddings()
    with torch.no_grad():
        words.weight[encoder._model.tokenizer.convert_tokens_to_ids(RARE[0])] = np.nan
    with pytest.raises(InputError, match=r"precision: 1 of 2 vectors .* fp32 .* look at the model"):
        encoder.encode([f"{COMMON[0]} {RARE[0]}", COMMON[0]], prompt="")
