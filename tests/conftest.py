"""Fixtures that all tests share: a tiny world of real models and data, made once a session."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.s3 import Plan, Servers, running
from tests.world import tiny_beir, tiny_model


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny matrices gain nothing from threads, and on a busy machine they wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _quiet_end() -> Iterator[None]:
    """Prefect logs the end of its temporary server when pytest has closed the stream."""
    yield
    logging.raiseExceptions = False


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


@pytest.fixture(scope="session")
def s3() -> Iterator[Servers]:
    """An S3-compatible server of this machine, and a proxy before it that can be made to fail."""
    with running() as servers:
        yield servers


@pytest.fixture
def bucket(s3: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place of a test's own on that server, which the environment leads to."""
    for key, value in s3.environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("STROP_CACHE", str(tmp_path / "cache"))
    return f"s3://strop/{tmp_path.parent.name}/{tmp_path.name}"


@pytest.fixture
def proxied(bucket: str, s3: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The same behind the proxy."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.proxy)
    yield f"{bucket}/proxied"
    s3.plan(Plan())
