"""A trained dense layer and its exact GELU, whose backward pass takes the bias's gradient along.

PyTorch reads GELU's gradient, the widest of a layer, once more to sum it for the bias.
"""

from typing import Any

import torch
from torch.nn.functional import gelu

from strop.pipeline.scoring.gpu_kernels import FP16, kernels

COLUMNS, THREADS = 256, (32, 8, 1)
"""Columns of a block, and its threads."""
ROWS_A_BLOCK = 256


class DenseGelu(torch.autograd.Function):
    """``gelu(states @ weight.T + bias)`` for states of 16 bits on a GPU."""

    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """The activations; shape (…, outputs)."""
        rows = states.reshape(-1, states.shape[-1])
        weight = weight.to(states.dtype)
        before = torch.addmm(bias.to(states.dtype), rows, weight.t())
        ctx.save_for_backward(rows, weight, before)
        return gelu(before).view(*states.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients of those inputs that need one."""
        rows, weight, before = ctx.saved_tensors
        count, width = before.shape
        blocks = -(-count // ROWS_A_BLOCK)
        inner = torch.empty_like(before)
        partial = torch.empty(blocks, width, dtype=torch.float32, device=before.device)
        found = kernels("gelu", before.device.index, width, *FP16[before.dtype])
        found["gelu_gradients"](
            grid=(-(-width // COLUMNS), blocks, 1),
            block=THREADS,
            args=[outer[0].contiguous(), before, inner, partial, count],
        )
        wanted = ctx.needs_input_grad
        of_states = (inner @ weight).view(*outer[0].shape[:-1], -1) if wanted[0] else None
        return (
            of_states,
            inner.t() @ rows if wanted[1] else None,
            partial.sum(0) if wanted[2] else None,
        )
