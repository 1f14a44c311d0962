"""Dense layers that are trained, whose forward and backward products all run in oneDNN.

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
    """``activation(states @ weight.T + bias)`` in oneDNN; any strides."""
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
    ) -> torch.Tensor:
        """The layer's output."""
        ctx.save_for_backward(states, weight)
        ctx.sparse = sparse
        return product(states, weight, bias)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients of those inputs that need one."""
        states, weight = ctx.saved_tensors
        rows, wanted = _rows(outer[0]), ctx.needs_input_grad
        chosen = _with_gradient(rows) if ctx.sparse else None
        kept = _of(_rows(states), chosen)
        inner, *others = _gradients(_of(rows, chosen), kept, weight, wanted[:3])
        return _spread(inner, chosen, states), *others, None


class FeedForward(torch.autograd.Function):
    """Two dense layers with an exact GELU between them, for sparse training.

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
    ) -> torch.Tensor:
        """The second layer's output."""
        made = product(states, wide, wide_bias)
        ctx.save_for_backward(states, wide, weight, made)
        return product(gelu(made), weight, bias)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients of those inputs that need one."""
        states, wide, weight, made = ctx.saved_tensors
        rows, wanted = _rows(outer[0]), ctx.needs_input_grad
        chosen = _with_gradient(rows)
        rows, made = _of(rows, chosen), _of(_rows(made), chosen)
        before, *upper = _gradients(rows, gelu(made), weight, (True, *wanted[3:]))
        assert before is not None
        before = torch.ops.aten.gelu_backward(before, made)
        inner, *lower = _gradients(before, _of(_rows(states), chosen), wide, wanted[:3])
        return _spread(inner, chosen, states), *lower, *upper


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
    """The gradients of a dense layer's states, weight and bias that are ``wanted``; by rows."""
    if not len(outer):  # oneDNN multiplies no empty matrices
        found = torch.zeros_like(states), torch.zeros_like(weight), weight.new_zeros(len(weight))
        return tuple(value if asked else None for value, asked in zip(found, wanted, strict=True))
    return (
        product(outer, weight.t(), None) if wanted[0] else None,
        product(outer.t(), states.t(), None) if wanted[1] else None,
        outer.sum(dim=0) if wanted[2] else None,
    )


def _spread(
    rows: torch.Tensor | None, places: torch.Tensor | None, like: torch.Tensor
) -> torch.Tensor | None:
    """Rows at their places in a tensor of zeros, of the shape of another."""
    if rows is None or places is None:
        return None if rows is None else rows.view(like.shape)
    spread = torch.zeros_like(_rows(like)).index_copy_(0, places, rows)
    return spread.view(like.shape)
