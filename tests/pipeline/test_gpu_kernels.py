"""The GPU's kernels compute what PyTorch does, here on a CPU; `test_gpu.py` runs them on a GPU."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import gelu, layer_norm

from strop.pipeline.scoring import dense_layers, gpu_layers, residual_norm, trained_gelu
from strop.pipeline.scoring.forward import batch_of, lean_layers, logits
from strop.pipeline.scoring.gpu_layers import residual_norms
from strop.pipeline.scoring.residual_norm import ResidualNorm
from strop.pipeline.scoring.trained_gelu import DenseGelu
from tests.pipeline import cuda_on_a_cpu
from tests.pipeline.test_packing import PAD, model, pairs

pytestmark = pytest.mark.skipif(cuda_on_a_cpu.COMPILER is None, reason="needs g++")


@pytest.fixture(autouse=True)
def _on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (residual_norm, trained_gelu):
        monkeypatch.setattr(module, "kernels", cuda_on_a_cpu.kernels)
    monkeypatch.setattr(residual_norm, "processors", lambda device: 1)


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Numbers that need a gradient."""
    return torch.randn(*shape).to(dtype).requires_grad_()


def gradients_agree(
    found: torch.Tensor, expected: torch.Tensor, inputs: list[torch.Tensor]
) -> None:
    """Two ways' results and gradients of the inputs are the same, up to rounding in bf16."""
    outer = torch.randn_like(expected).bfloat16()
    before = torch.autograd.grad(expected, inputs, outer.float(), allow_unused=True)
    after = torch.autograd.grad(found, inputs, outer, allow_unused=True)
    for exact, made in zip((expected, *before), (found, *after), strict=True):
        assert (exact is None) == (made is None)
        if exact is not None:
            assert (made.float() - exact.float()).norm() < 0.005 * exact.float().norm()


@pytest.mark.parametrize(("width", "biased"), [(8, True), (264, True), (1024, False)])
def test_a_residual_norm_and_its_gradients(width: int, biased: bool) -> None:
    torch.manual_seed(width)
    states, residual = (drawn(1, 13, width, dtype=torch.bfloat16) for _ in range(2))
    dense_bias, gain, bias = (drawn(width) for _ in range(3))
    added = dense_bias if biased else None
    summed = states.float() + residual.float() + (dense_bias if biased else 0)
    expected = layer_norm(summed, (width,), gain, bias, 1e-5)
    found = ResidualNorm.apply(states, residual, added, gain, bias, 1e-5)
    assert found.dtype == torch.bfloat16
    gradients_agree(found, expected, [states, residual, dense_bias, gain, bias])
    with torch.no_grad():
        scored = ResidualNorm.apply(states, residual, added, gain, bias, 1e-5)
    assert (scored.float() - expected).norm() < 0.005 * expected.norm()


@pytest.mark.parametrize("width", [8, 264])
def test_a_trained_gelu_and_its_gradients(width: int) -> None:
    torch.manual_seed(width)
    states = drawn(2, 150, 16, dtype=torch.bfloat16)
    weight, bias = drawn(width, 16), drawn(width)
    product = states.float() @ weight.bfloat16().float().t() + bias
    found = DenseGelu.apply(states, weight, bias)
    gradients_agree(found, gelu(product), [states, weight, bias])


def test_what_is_no_number_stays_so() -> None:
    states = torch.tensor([[float("nan")] * 8, [1.0] * 8]).bfloat16()
    zeros, ones = torch.zeros(8), torch.ones(8)
    found = ResidualNorm.apply(states, torch.zeros_like(states), None, ones, zeros, 1e-5)
    assert found.isnan().tolist() == [[True] * 8, [False] * 8]
    # The NaN that a GPU makes would round up to minus zero.
    of_a_gpu = torch.full((8,), 0x7FFFFFFF, dtype=torch.int32).view(torch.float32)
    assert ResidualNorm.apply(states, states, None, ones, of_a_gpu, 1e-5).isnan().all()


def test_a_model_with_residual_norms_has_the_scores_and_gradients_that_it_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpu_layers, "available", lambda device: True)
    made, given = model("bert"), pairs(types=False)

    def carried_out() -> Any:
        made.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            found = logits(made, batch_of(made, given, np.arange(6), pad=PAD, packed=True))
        found.square().sum().backward()
        return found.detach(), torch.cat([p.grad.flatten() for p in made.parameters()])

    with lean_layers(made, packed=True):
        plain, plain_gradient = carried_out()
        with residual_norms(made):
            found, gradient = carried_out()
    assert torch.corrcoef(torch.stack([found, plain]))[0, 1] > 0.999
    assert torch.cosine_similarity(gradient, plain_gradient, dim=0) > 0.99
    assert not torch.equal(gradient, plain_gradient), "both ways were the same"
    assert not any("forward" in vars(module) for module in made.modules())


def test_norms_that_do_not_fit_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_layers, "available", lambda device: True)
    made = model("bert")
    first = made.bert.encoder.layer[0]
    first.output.LayerNorm = torch.nn.LayerNorm(32, bias=False)
    first.attention.output.LayerNorm = torch.nn.Identity()
    with residual_norms(made):
        changed = [module for module in made.modules() if "forward" in vars(module)]
    assert len(changed) == 4
    assert first.output not in changed
    assert first.attention.output not in changed


def test_a_gelu_whose_width_cannot_be_read_in_eights_stays_as_it_is() -> None:
    made = model("bert").bert.encoder.layer[0].intermediate
    assert dense_layers._trained_forward_on_gpu(made) is not None
    made.dense = torch.nn.Linear(32, 20)
    assert dense_layers._trained_forward_on_gpu(made) is None
