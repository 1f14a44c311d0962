"""Dense layers through oneDNN, where PyTorch's own fp32 product leaves half of a CPU's speed.

PyTorch multiplies fp32 matrices with MKL, which does not use AVX-512 on every processor that has it
(on an AMD EPYC it ran at 0.4 of oneDNN's rate). oneDNN is in every PyTorch build for x86.
"""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch.nn.functional import linear

ERF_GELU = ("GELUActivation", "GELU")
"""Activations that oneDNN computes together with the product before them."""


def supported(model: Any) -> bool:
    """Whether a model's dense layers gain: fp32 on a CPU with AVX-512."""
    weight = next(model.parameters())
    return bool(
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
    )


@contextlib.contextmanager
def fast_dense_layers(model: Any, *, training: bool = False) -> Iterator[None]:
    """While entered, the model's dense layers compute in oneDNN; others stay as they are.

    Outputs and gradients equal PyTorch's up to the order of fp32 sums. Without ``training`` there
    are no gradients, and GELU is computed together with the product before it.
    """
    changed: list[Any] = []
    if supported(model):
        for module in model.modules():
            forward = _forward_of(module, training=training)
            if forward is not None and "forward" not in vars(module):
                module.forward = forward
                changed.append(module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _forward_of(module: Any, *, training: bool) -> Any:
    if type(module) is torch.nn.Linear:
        return partial(_linear_with_gradients if training else _linear, module)
    activation = getattr(module, "intermediate_act_fn", None)
    dense = getattr(module, "dense", None)
    if training or type(activation).__name__ not in ERF_GELU or type(dense) is not torch.nn.Linear:
        return None
    # Another layer than this one may stand behind the same name.
    return partial(_dense_gelu, dense) if _is_dense_and_activation(module) else None


def _is_dense_and_activation(module: Any) -> bool:
    exact = getattr(module.intermediate_act_fn, "approximate", "none") == "none"
    return exact and set(dict(module.named_children())) == {"dense", "intermediate_act_fn"}


def _product(
    states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, activation: str = "none"
) -> torch.Tensor:
    """``activation(states @ weight.T + bias)``; any strides."""
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
        states, weight, bias, activation, [], "none"
    )
    return found


def _linear(module: Any, states: torch.Tensor) -> torch.Tensor:
    return _product(states, module.weight, module.bias)


def _dense_gelu(dense: Any, states: torch.Tensor) -> torch.Tensor:
    return _product(states, dense.weight, dense.bias, "gelu")


def _linear_with_gradients(module: Any, states: torch.Tensor) -> torch.Tensor:
    if torch.is_autocast_enabled("cpu"):  # entered within the model's call; has kernels of its own
        return linear(states, module.weight, module.bias)
    found: torch.Tensor = _Linear.apply(  # type: ignore[no-untyped-call]
        states, module.weight, module.bias
    )
    return found


class _Linear(torch.autograd.Function):
    """A dense layer whose three products run in oneDNN."""

    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """The layer's output."""
        ctx.save_for_backward(states, weight)
        ctx.has_bias = bias is not None
        return _product(states, weight, bias)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients of those inputs that need one."""
        states, weight = ctx.saved_tensors
        rows = outer[0].reshape(-1, outer[0].shape[-1])
        needed = ctx.needs_input_grad
        return (
            _product(outer[0], weight.t(), None) if needed[0] else None,
            _product(rows.t(), states.reshape(-1, states.shape[-1]).t(), None)
            if needed[1]
            else None,
            rows.sum(dim=0) if ctx.has_bias and needed[2] else None,
        )
