"""Attention within the pairs of a packed batch: no pair sees another, and nothing needs a mask.

States have the shape (tokens, heads, width of a head). ``asked_by`` are the spans of the queries,
``spans`` those of the keys and values.

Source: Dao, "FlashAttention-2", 2023, of which PyTorch has kernels for both devices.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from strop.pipeline.scoring.spans import Spans


def by_pair(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    asked_by: Spans,
    spans: Spans,
    *,
    dropout: float,
    scale: float,
) -> torch.Tensor:
    """Attention of a pair at a time, each small enough for that; for a CPU."""
    trains = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
    if trains and not dropout:
        found: torch.Tensor = _PairAttention.apply(  # type: ignore[no-untyped-call]
            query, key, value, asked_by.lengths, spans.lengths, scale
        )
        return found
    attended = [
        scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scale).transpose(1, 2)
        for q, k, v in zip(
            _pairs(query, asked_by.lengths),
            _pairs(key, spans.lengths),
            _pairs(value, spans.lengths),
            strict=True,
        )
    ]
    return torch.cat(attended, dim=1)[0]


def by_variable_lengths(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    asked_by: Spans,
    spans: Spans,
    *,
    dropout: float,
    scale: float,
) -> torch.Tensor:
    """The same by one kernel for all pairs; for a GPU.

    PyTorch's public function for this has no dropout, which the one beneath it has.
    """
    found: torch.Tensor = torch.ops.aten._flash_attention_forward(
        query, key, value, asked_by.edges, spans.edges, asked_by.longest, spans.longest,
        dropout, False, False, scale=scale,
    )[0]  # fmt: skip
    return found


def _pairs(states: torch.Tensor, lengths: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
    """Each pair's states as PyTorch's attention takes them: (1, heads, tokens, width)."""
    return torch.split(states.transpose(0, 1)[None], list(lengths), dim=2)


class _PairAttention(torch.autograd.Function):
    """Attention by pair whose backward pass leaves out pairs without a gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        asked_by: tuple[int, ...],
        lengths: tuple[int, ...],
        scale: float,
    ) -> torch.Tensor:
        """What every token of the query reads; shape as ``query``."""
        found, sums = torch.empty_like(query), []
        states = (query, asked_by), (key, lengths), (value, lengths), (found, asked_by)
        for q, k, v, made in _each(*states):
            attended, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                q, k, v, 0.0, False, scale=scale
            )
            made.copy_(attended)
            sums.append(log_sum)
        ctx.save_for_backward(query, key, value, found, *sums)
        ctx.asked_by, ctx.lengths, ctx.scale = asked_by, lengths, scale
        return found

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients of query, key and value."""
        query, key, value, found, *sums = ctx.saved_tensors
        asked_by, lengths = ctx.asked_by, ctx.lengths
        gradients = tuple(torch.zeros_like(states) for states in (query, key, value))
        states = zip(
            (query, key, value, found, outer[0], *gradients),
            (asked_by, lengths, lengths, asked_by, asked_by, asked_by, lengths, lengths),
            strict=True,
        )
        carrying = _with_gradient(outer[0], asked_by)
        for place, (q, k, v, made, gradient, *inner) in enumerate(_each(*states)):
            if carrying[place]:
                for kept, value_of in zip(
                    inner,
                    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                        gradient, q, k, v, made, sums[place], 0.0, False, scale=ctx.scale
                    ),
                    strict=True,
                ):
                    kept.copy_(value_of)
        return *gradients, None, None, None


def _each(*states: tuple[torch.Tensor, tuple[int, ...]]) -> Iterator[tuple[torch.Tensor, ...]]:
    """Views of several states, pair by pair."""
    return zip(*(_pairs(values, lengths) for values, lengths in states), strict=True)


def _with_gradient(outer: torch.Tensor, lengths: tuple[int, ...]) -> Sequence[bool]:
    """By pair, whether its gradient is not zero; NaN is not."""
    by_token = torch.linalg.vector_norm(outer.flatten(1), dim=1, dtype=torch.float32).numpy()
    sums = np.add.reduceat(by_token, np.cumsum([0, *lengths[:-1]]))
    return [bool(value) for value in sums != 0]
