"""What a packed model's layers compute by kernels of their own on a GPU."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn.functional import linear

from strop.pipeline.scoring.first_token import layers_like_bert
from strop.pipeline.scoring.gpu_kernels import ALIGNED, available
from strop.pipeline.scoring.precision import HALF
from strop.pipeline.scoring.residual_norm import WIDEST, ResidualNorm


@dataclass(frozen=True)
class Weights:
    """A block's weights that the kernels read, in fp32; ``dense_bias`` of a plain dense layer."""

    gain: torch.Tensor
    bias: torch.Tensor
    dense_bias: torch.Tensor | None


@contextlib.contextmanager
def residual_norms(model: Any) -> Iterator[None]:
    """While entered, a packed model's layers on a GPU add and normalise by one kernel.

    In training under autocast, weights are of fp32; a model whose weights are of 16 bits scores,
    and has no gradients.
    """
    device = next(model.parameters()).device
    changed = []
    try:
        for layer in layers_like_bert(model) if available(device.index) else ():
            for block in (layer.attention.output, layer.output):
                if _fits(block.LayerNorm):
                    block.forward = partial(_forward, block, _weights(block))
                    changed.append(block)
        yield
    finally:
        for block in changed:
            del block.forward


def _fits(norm: Any) -> bool:
    if type(norm) is not torch.nn.LayerNorm or norm.bias is None:
        return False
    width = norm.normalized_shape[-1]
    return width % ALIGNED == 0 and width <= WIDEST


def _weights(block: Any) -> Weights:
    norm, plain = block.LayerNorm, type(block.dense) is torch.nn.Linear
    biased = plain and block.dense.bias is not None
    return Weights(
        _floats(norm.weight), _floats(norm.bias), _floats(block.dense.bias) if biased else None
    )


def _floats(weight: torch.Tensor) -> torch.Tensor:
    """The weight itself where it is fp32, so that it gets its gradient."""
    return weight if weight.dtype == torch.float32 else weight.detach().float()


def _forward(
    block: Any, weights: Weights, states: torch.Tensor, residual: torch.Tensor
) -> torch.Tensor:
    """Dense layer, dropout, residual sum and norm."""
    dense_bias = weights.dense_bias
    if block.training and block.dropout.p:
        dense_bias = None  # dropout stands between the bias and the sum
    if dense_bias is None:
        found = block.dropout(block.dense(states))
    else:
        found = linear(states, block.dense.weight)
    if found.dtype not in HALF.values():  # neither autocast nor weights of 16 bits
        raise TypeError(f"residual norms are for 16 bits, not {found.dtype}")
    normed: torch.Tensor = ResidualNorm.apply(  # type: ignore[no-untyped-call]
        found, residual.to(found.dtype), dense_bias, weights.gain, weights.bias,
        block.LayerNorm.eps,
    )  # fmt: skip
    return normed
