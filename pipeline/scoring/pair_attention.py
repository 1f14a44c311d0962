"""Attention within the pairs of a packed batch: no pair sees another, and nothing needs a mask.

States have the shape (tokens, heads, width of a head). ``asked_by`` are the spans of the queries,
``spans`` those of the keys and values.

Source: Dao, "FlashAttention-2", 2023, of which PyTorch has kernels for both devices.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from strop.pipeline.scoring.spans import Spans


def by_equal_lengths(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    asked_by: Spans,
    spans: Spans,
    *,
    dropout: float,
    scale: float,
) -> torch.Tensor:
    """Attention of a run of pairs of one length at a time, each small enough for that; for a CPU.

    Batches are sorted by length, so that runs are long where there are many pairs.
    """
    trains = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
    if trains and not dropout:
        found: torch.Tensor = _PairAttention.apply(  # type: ignore[no-untyped-call]
            query, key, value, asked_by, spans, scale
        )
        return found
    # What dropout leaves out is drawn for a pair at a time, whoever stands beside it.
    runs = (1,) * len(spans.lengths) if dropout else _runs(asked_by, spans)
    attended = [
        scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scale)
        for q, k, v in _each((query, asked_by), (key, spans), (value, spans), runs=runs)
    ]
    return torch.cat([states.transpose(1, 2).flatten(0, 1) for states in attended])


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


class _PairAttention(torch.autograd.Function):
    """Attention by runs whose backward pass leaves out pairs without a gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        asked_by: Spans,
        spans: Spans,
        scale: float,
    ) -> torch.Tensor:
        """What every token of the query reads; shape as ``query``."""
        found, sums = torch.empty_like(query), []
        states = (query, asked_by), (key, spans), (value, spans), (found, asked_by)
        for q, k, v, made in _each(*states, runs=_runs(asked_by, spans)):
            attended, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                q, k, v, 0.0, False, scale=scale
            )
            made.copy_(attended)
            sums.append(log_sum)
        ctx.save_for_backward(query, key, value, found, *sums)
        ctx.asked_by, ctx.spans, ctx.scale = asked_by, spans, scale
        return found

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients of query, key and value."""
        query, key, value, found, *sums = ctx.saved_tensors
        asked_by, spans = ctx.asked_by, ctx.spans
        gradients = tuple(torch.zeros_like(states) for states in (query, key, value))
        states = zip(
            (outer[0], query, key, value, found, *gradients),
            (asked_by, asked_by, spans, spans, asked_by, asked_by, spans, spans),
            strict=True,
        )
        runs = _runs(asked_by, spans)
        carrying = torch.split(_with_gradient(outer[0], asked_by.lengths), list(runs))
        for (*given, of_q, of_k, of_v), log_sum, chosen in zip(
            _each(*states, runs=runs), sums, carrying, strict=True
        ):
            if not chosen.any():
                continue
            some = slice(None) if chosen.all() else chosen
            found_here = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                *(values[some] for values in given), log_sum[some], 0.0, False, scale=ctx.scale
            )
            for kept, gradient in zip((of_q, of_k, of_v), found_here, strict=True):
                kept[some] = gradient
        return *gradients, None, None, None


def _runs(asked_by: Spans, spans: Spans) -> tuple[int, ...]:
    """How many pairs are read together.

    Several threads share out the sums of single tokens by who else there is: there, pairs whose
    first token alone is asked for are read one by one, so that their bits depend on nobody.
    """
    together = asked_by is spans or torch.get_num_threads() == 1
    return spans.runs if together else (1,) * len(spans.lengths)


def _each(
    *states: tuple[torch.Tensor, Spans], runs: tuple[int, ...]
) -> Iterator[tuple[torch.Tensor, ...]]:
    """Views of several states, run by run, as PyTorch's attention takes them: (pairs, heads,
    tokens, width).
    """
    firsts = np.cumsum([0, *runs[:-1]]).tolist()
    views = []
    for values, spans in states:
        sizes = [count * spans.lengths[first] for first, count in zip(firsts, runs, strict=True)]
        parts = zip(torch.split(values, sizes), runs, strict=True)
        rows = [part.view(count, len(part) // count, *part.shape[1:]) for part, count in parts]
        views.append([row.transpose(1, 2) for row in rows])
    return zip(*views, strict=True)


def _with_gradient(outer: torch.Tensor, lengths: tuple[int, ...]) -> torch.Tensor:
    """By pair, whether its gradient is not zero; NaN is not."""
    by_token = torch.linalg.vector_norm(outer.flatten(1), dim=1, dtype=torch.float32).numpy()
    return torch.from_numpy(np.add.reduceat(by_token, np.cumsum([0, *lengths[:-1]])) != 0)
