"""Dense layers that are trained, whose forward and backward products all run in oneDNN.

Products are of ``dtype``; states, gradients and what is done with them elsewhere are of fp32. In
bf16 a processor with instructions for it multiplies twice as fast, and sums in fp32.

Where ``sparse``, a backward pass first looks which tokens have a gradient at all, and multiplies
these alone: their products are the same, since the others add nothing.
"""

from typing import Any

import torch
from torch.nn.functional import gelu

MOST = 0.9
"""The share of tokens with a gradient from which on picking them out saves nothing."""


def product(
    states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, activation: str = "none"
) -> torch.Tensor:
    """``activation(states @ weight.T + bias)`` in oneDNN, of the states' type; any strides."""
    weight, bias = weight.to(states.dtype), None if bias is None else bias.to(states.dtype)
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
        states, weight, bias, activation, [], "none"
    )
    return found


class DenseLayer(torch.autograd.Function):
    """``states @ weight.T + bias``."""

    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        sparse: bool,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        """The layer's output."""
        read = states.to(dtype)
        ctx.save_for_backward(read, weight)
        ctx.sparse = sparse
        return product(read, weight, bias).to(states.dtype)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients of those inputs that need one."""
        states, weight = ctx.saved_tensors
        rows, wanted = _rows(outer[0]), ctx.needs_input_grad
        chosen = _with_gradient(rows) if ctx.sparse else None
        rows, kept = _of(rows, chosen).to(states.dtype), _of(_rows(states), chosen)
        inner, *others = _gradients(rows, kept, weight, wanted[:3])
        return _spread(inner, chosen, states.shape), *others, None, None


class FeedForward(torch.autograd.Function):
    """Two dense layers with an exact GELU between them, for sparse training and for bf16.

    What the second one read is computed again in the backward pass, for the tokens that need it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        wide: torch.Tensor,
        wide_bias: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        sparse: bool,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        """The second layer's output."""
        read = states.to(dtype)
        made = product(read, wide, wide_bias)
        ctx.save_for_backward(read, wide, weight, made)
        ctx.sparse = sparse
        return product(gelu(made), weight, bias).to(states.dtype)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients of those inputs that need one."""
        states, wide, weight, made = ctx.saved_tensors
        rows, wanted = _rows(outer[0]), ctx.needs_input_grad
        chosen = _with_gradient(rows) if ctx.sparse else None
        rows, made = _of(rows, chosen).to(made.dtype), _of(_rows(made), chosen)
        before, *upper = _gradients(rows, gelu(made), weight, (True, *wanted[3:5]))
        assert before is not None
        before = torch.ops.aten.gelu_backward(before, made)
        inner, *lower = _gradients(before, _of(_rows(states), chosen), wide, wanted[:3])
        return _spread(inner, chosen, states.shape), *lower, *upper, None, None


def _rows(values: torch.Tensor) -> torch.Tensor:
    """One row a token."""
    return values.reshape(-1, values.shape[-1])


def _of(rows: torch.Tensor, chosen: torch.Tensor | None) -> torch.Tensor:
    return rows if chosen is None else rows.index_select(0, chosen)


def _with_gradient(rows: torch.Tensor) -> torch.Tensor | None:
    """The rows of a gradient that are not zero, or None where these are `MOST`."""
    found = torch.linalg.vector_norm(rows, dim=1).nonzero()[:, 0]
    return found if len(found) < MOST * len(rows) else None


def _gradients(
    outer: torch.Tensor, states: torch.Tensor, weight: torch.Tensor, wanted: tuple[bool, ...]
) -> tuple[torch.Tensor | None, ...]:
    """The gradients of a dense layer's states, weight and bias that are ``wanted``; by rows.

    That of the states is of their type, the others of the weight's.
    """
    if not len(outer):  # oneDNN multiplies no empty matrices
        found = torch.zeros_like(states), torch.zeros_like(weight), weight.new_zeros(len(weight))
        return tuple(value if asked else None for value, asked in zip(found, wanted, strict=True))
    return (
        product(outer, weight.t(), None) if wanted[0] else None,
        _of_weight(outer, states).to(weight.dtype) if wanted[1] else None,
        outer.sum(dim=0, dtype=weight.dtype) if wanted[2] else None,
    )


def _of_weight(outer: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """The gradient of a weight, of the states' type."""
    if states.dtype == torch.float32:
        return product(outer.t(), states.t(), None)
    return outer.t() @ states  # oneDNN's too, by a kernel that is faster; in fp32 it would be MKL's


def _spread(
    rows: torch.Tensor | None, places: torch.Tensor | None, shape: torch.Size
) -> torch.Tensor | None:
    """Rows of fp32, at their places in a tensor of zeros, of a shape."""
    if rows is None or places is None:
        return None if rows is None else rows.float().view(shape)
    spread = rows.new_zeros(shape.numel() // shape[-1], shape[-1], dtype=torch.float32)
    return spread.index_copy_(0, places, rows.float()).view(shape)
