"""What is put before the bi-encoder's texts when the config leaves that to the model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.config import BiEncoder
from strop.pipeline.data.splits import SplitRule
from strop.pipeline.errors import InputError
from strop.tasks.earlier import joined_texts, whole_column
from strop.tasks.encode import encode
from strop.tasks.import_data import beir_request, import_request
from strop.tasks.import_model import import_model
from strop.tasks.passage_vectors import PassageVectors
from strop.tasks.stage import Place
from tests.world import tiny_beir

PROMPTS = {"query": "sulo vami ", "passage": "balo "}


def done(stage: Any, *arguments: Any) -> ArtifactRef:
    result = stage.fn(*arguments)
    return result if isinstance(result, ArtifactRef) else result.data


def encoded(folder: Path, model: Path, **said: Any) -> tuple[Store, ArtifactRef]:
    place = Place(folder / "store", "tiny", "prepare")
    data = tiny_beir(folder / "data", passages=40, test=0)
    dataset = done(import_request, place, beir_request(data, SplitRule()))
    config = BiEncoder(model=str(model), **said)
    return place.open(), done(
        encode, place, dataset, done(import_model, place, config.model), config
    )


def prompts(store: Store, made: ArtifactRef) -> tuple[str, str]:
    parameters = store.manifest(made).parameters
    return parameters["query_prompt"], parameters["passage_prompt"]


@pytest.fixture
def prompted(tmp_path: Path, bi_encoder_folder: Path) -> Path:
    SentenceTransformer(str(bi_encoder_folder), prompts=PROMPTS).save(
        str(tmp_path / "prompted"), create_model_card=False
    )
    return tmp_path / "prompted"


def test_a_models_own_prompts_are_used_as_sentence_transformers_uses_them(
    tmp_path: Path, prompted: Path
) -> None:
    store, made = encoded(tmp_path, prompted)
    peer = SentenceTransformer(str(prompted))
    dataset = next(ref for ref in store.manifest(made).inputs.values() if ref.kind == "dataset")
    corpus, questions = store.table(dataset, "corpus"), store.table(dataset, "queries")
    passages = np.concatenate(list(PassageVectors(store, made).blocks()))
    queries = np.stack(whole_column(store.file(made, "queries.parquet"), "vector").to_numpy(False))
    asked = peer.encode_query(questions["text"].to_pylist(), normalize_embeddings=True)
    wanted = peer.encode_document(joined_texts(corpus), normalize_embeddings=True)
    np.testing.assert_allclose(passages, wanted, atol=1e-5)
    np.testing.assert_allclose(queries, asked, atol=1e-5)


def test_what_the_config_says_stands_before_the_models_prompts(
    tmp_path: Path, prompted: Path
) -> None:
    store, made = encoded(tmp_path, prompted, passage_prompt="lomi ")
    assert prompts(store, made) == ("sulo vami ", "lomi ")
    assert prompts(*encoded(tmp_path, prompted, own_prompts=False)) == ("", "")


def test_a_model_without_prompts_has_the_vectors_of_none(
    tmp_path: Path, bi_encoder_folder: Path
) -> None:
    _, silent = encoded(tmp_path, bi_encoder_folder)
    _, said = encoded(tmp_path, bi_encoder_folder, own_prompts=False)
    assert silent == said


def test_prompts_that_are_no_texts_are_refused(tmp_path: Path, prompted: Path) -> None:
    file = prompted / "config_sentence_transformers.json"
    file.write_text(json.dumps({"prompts": {"query": 1}}))
    with pytest.raises(InputError, match=r"json: prompts are not texts by name$"):
        encoded(tmp_path, prompted)
