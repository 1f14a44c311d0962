"""A residual sum and its layer norm by one kernel, and their gradients by another; on a GPU.

PyTorch reads and writes a layer's states once for the sum and once for the norm, and once more for
each of four gradients: of the norm's input, of its weights, and of the bias before it. On an H100
that was a fifth of the time of a BERT-base's training step.
"""

from functools import cache
from typing import Any

import torch

from strop.pipeline.scoring.gpu_kernels import FP16, kernels

WIDEST = 1280
"""The widest row that fits the registers of the backward pass."""
ROWS_A_BLOCK = 4
BLOCKS_OF_A_PROCESSOR = 2
"""Blocks that go through the rows of a backward pass; each sums what its rows add to a weight."""


class ResidualNorm(torch.autograd.Function):
    """``norm(states + dense_bias + residual)``, where the bias may be None; shape as ``states``.

    States are of 16 bits; gain and biases are fp32, and so are all sums.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        residual: torch.Tensor,
        dense_bias: torch.Tensor | None,
        gain: torch.Tensor,
        bias: torch.Tensor,
        epsilon: float,
    ) -> torch.Tensor:
        """The norm of the sum."""
        states, residual = states.contiguous(), residual.contiguous()
        normed, width = torch.empty_like(states), states.shape[-1]
        # Also without gradients where weights have one: both passes of a step round alike.
        rows, kept = states.numel() // width, any(ctx.needs_input_grad)
        sums = torch.empty_like(states) if kept else normed
        moments = gain.new_empty(rows, 2) if kept else gain
        macros = (
            f"EPSILON={epsilon:e}f",
            *FP16[states.dtype],
            *(("BIASED",) if dense_bias is not None else ()),
            *(("KEPT",) if kept else ()),
        )
        found = kernels("residual_norm", states.device.index, width, *macros)
        found["sum_and_norm"](
            grid=(-(-rows // ROWS_A_BLOCK), 1, 1),
            block=(32 * ROWS_A_BLOCK, 1, 1),
            args=[
                states,
                residual,
                gain if dense_bias is None else dense_bias,
                gain,
                bias,
                sums,
                moments,
                normed,
                rows,
            ],
        )
        if kept:
            ctx.save_for_backward(sums, moments, gain)
            ctx.norm_gradients = found["norm_gradients"]
        return normed

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients of all tensors, whether they are needed or not."""
        sums, moments, gain = ctx.saved_tensors
        device, width, rows = sums.device.index, sums.shape[-1], len(moments)
        blocks = min(BLOCKS_OF_A_PROCESSOR * processors(device), -(-rows // ROWS_A_BLOCK))
        inner, partial = torch.empty_like(sums), gain.new_empty(blocks, 3, width)
        ctx.norm_gradients(
            grid=(blocks, 1, 1),
            block=(32 * ROWS_A_BLOCK, 1, 1),
            args=[outer[0].contiguous(), sums, moments, gain, inner, partial, rows],
        )
        of_gain, of_bias, of_dense_bias = partial.sum(0)
        wants = ctx.needs_input_grad[2]
        return inner, inner, of_dense_bias if wants else None, of_gain, of_bias, None


@cache
def processors(device: int) -> int:
    """The multiprocessors of a GPU."""
    return int(torch.cuda.get_device_properties(device).multi_processor_count)
