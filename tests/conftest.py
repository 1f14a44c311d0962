"""Fixtures that all tests share: a tiny world of real models and data, made once a session."""

from pathlib import Path

import pytest
import torch

from tests.world import tiny_beir, tiny_model


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny matrices gain nothing from threads, and on a busy machine they wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def bi_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers bi-encoder, which is also a reranker base without a head."""
    return tiny_model(tmp_path_factory.mktemp("world") / "bi-encoder", seed=1)


@pytest.fixture(scope="session")
def reranker_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder with a one-logit head."""
    return tiny_model(tmp_path_factory.mktemp("world") / "reranker", seed=2, one_logit=True)


@pytest.fixture(scope="session")
def beir_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in BEIR layout: 120 passages, 40 train, 20 dev and 20 test queries."""
    return tiny_beir(tmp_path_factory.mktemp("world") / "beir", seed=3)
