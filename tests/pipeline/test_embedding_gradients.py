from pathlib import Path

import pytest
import torch

from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.training.embedding_gradients import EmbeddingGradients

IDS = torch.randint(0, 40, (2, 6, 19), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model(reranker_folder: Path) -> torch.nn.Module:
    found: torch.nn.Module = load_reranker(reranker_folder).model
    return found.eval()


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Of two micro-batches."""
    model.zero_grad()
    for ids in IDS:
        (model(ids).logits ** 2).sum().backward()
    return {n: w.grad.clone() for n, w in model.named_parameters() if w.grad is not None}


def test_gradients_are_those_of_pytorch_in_every_step(model: torch.nn.Module) -> None:
    expected = gradients(model)
    tables = EmbeddingGradients(model)
    for _ in range(2):
        with tables.accumulated(), torch.profiler.profile() as trace:
            found = gradients(model)
        names = {event.key for event in trace.key_averages()}
        assert "aten::embedding_dense_backward" not in names
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-4)
    assert not [module for module in model.modules() if "forward" in vars(module)]


def test_padding_has_no_gradient(model: torch.nn.Module) -> None:
    words = model.get_input_embeddings()
    assert words.padding_idx == 0
    assert (IDS == 0).any()
    with EmbeddingGradients(model).accumulated():
        found = gradients(model)["bert.embeddings.word_embeddings.weight"]
    assert not found[0].any()
    assert found[1:].any()


def test_frozen_embeddings_and_those_with_two_users_stay_as_they_are(
    model: torch.nn.Module,
) -> None:
    model.get_input_embeddings().weight.requires_grad_(requires_grad=False)
    positions = model.bert.embeddings.position_embeddings
    model.add_module("tied", torch.nn.Linear(positions.embedding_dim, positions.num_embeddings))
    model.tied.weight = positions.weight
    with EmbeddingGradients(model).accumulated():
        changed = {module for module in model.modules() if "forward" in vars(module)}
        found = gradients(model)
    assert changed == {model.bert.embeddings.token_type_embeddings}
    assert "bert.embeddings.word_embeddings.weight" not in found
    assert found["bert.embeddings.position_embeddings.weight"].any()
