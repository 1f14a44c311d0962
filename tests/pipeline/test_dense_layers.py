from pathlib import Path

import pytest
import torch

from strop.pipeline.scoring.dense_layers import fast_dense_layers, supported
from strop.pipeline.scoring.reranker import load_reranker

IDS = torch.randint(5, 40, (6, 19), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model(reranker_folder: Path) -> torch.nn.Module:
    found: torch.nn.Module = load_reranker(reranker_folder).model
    if not supported(found):
        pytest.skip("no AVX-512 here: dense layers stay PyTorch's")
    return found


def test_outputs_are_those_of_pytorch_and_onednn_multiplies(model: torch.nn.Module) -> None:
    with torch.inference_mode():
        expected = model(IDS).logits
        with fast_dense_layers(model), torch.profiler.profile() as trace:
            found = model(IDS).logits
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    names = {event.key for event in trace.key_averages()}
    assert "mkldnn::_linear_pointwise" in names
    assert not names & {"aten::linear", "aten::gelu"}
    assert not [module for module in model.modules() if "forward" in vars(module)]


def test_gradients_are_those_of_pytorch(model: torch.nn.Module) -> None:
    def gradients() -> dict[str, torch.Tensor]:
        model.zero_grad()
        (model(IDS).logits ** 2).sum().backward()
        return {n: w.grad.clone() for n, w in model.named_parameters() if w.grad is not None}

    expected = gradients()
    with fast_dense_layers(model, training=True):
        found = gradients()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-4)


def test_other_precisions_stay_with_pytorch(model: torch.nn.Module) -> None:
    assert not supported(model.to(torch.bfloat16))
