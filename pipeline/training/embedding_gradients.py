"""Gradients of embeddings without a dense table for every micro-batch.

PyTorch's backward pass of an embedding makes a table of zeros as large as the vocabulary, adds the
rows that occurred, and adds the table to the gradient so far: for MiniLM 47 MB for every
micro-batch, in which some hundred rows differ from zero. Here the rows are added to one table,
which stays allocated from step to step. The gradient is the same up to the order of its fp32 sums.
"""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch


class EmbeddingGradients:
    """The tables of one model; enter `accumulated` around a step's forward and backward passes."""

    def __init__(self, model: Any) -> None:
        """Find the embeddings that are trained and whose weights nothing else uses."""
        self._embeddings = [module for module in model.modules() if _is_plain(module)]
        users = [id(w) for module in model.modules() for w in module.parameters(recurse=False)]
        self._embeddings = [m for m in self._embeddings if users.count(id(m.weight)) == 1]
        self._tables: dict[int, torch.Tensor] = {}

    @contextlib.contextmanager
    def accumulated(self) -> Iterator[None]:
        """While entered, backward passes add to the gradients of embeddings in place.

        Embeddings that are frozen, not on a CPU, or not of fp32, stay as they are.
        """
        changed = [m for m in self._embeddings if _gains(m) and "forward" not in vars(m)]
        for module in changed:
            module.forward = partial(self._forward, module)
        try:
            yield
        finally:
            for module in changed:
                del module.forward

    def _forward(self, module: torch.nn.Embedding, ids: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = _Embedding.apply(  # type: ignore[no-untyped-call]
            ids, module.weight, module, self
        )
        return found

    def add(self, module: torch.nn.Embedding, ids: torch.Tensor, outer: torch.Tensor) -> None:
        """Add the gradients of the rows that occurred to those of the weight."""
        weight = module.weight
        if weight.grad is None:
            table = self._tables.setdefault(id(weight), torch.empty_like(weight))
            weight.grad = table.zero_()
        rows, values = ids.reshape(-1), outer.reshape(-1, outer.shape[-1])
        if module.padding_idx is not None:
            kept = rows != module.padding_idx
            rows, values = rows[kept], values[kept]
        weight.grad.index_add_(0, rows, values)


def _is_plain(module: Any) -> bool:
    """An embedding whose gradient is the sum of what its rows received."""
    return (
        type(module) is torch.nn.Embedding
        and module.max_norm is None
        and not module.scale_grad_by_freq
        and not module.sparse
    )


def _gains(module: torch.nn.Embedding) -> bool:
    weight = module.weight
    return weight.requires_grad and weight.device.type == "cpu" and weight.dtype == torch.float32


class _Embedding(torch.autograd.Function):
    """An embedding that adds to its weight's gradient itself."""

    @staticmethod
    def forward(
        ctx: Any,
        ids: torch.Tensor,
        weight: torch.Tensor,
        module: torch.nn.Embedding,
        gradients: EmbeddingGradients,
    ) -> torch.Tensor:
        """The rows."""
        ctx.save_for_backward(ids)
        ctx.module, ctx.gradients = module, gradients
        return torch.nn.functional.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[None, None, None, None]:
        """Nothing to hand on: what the weight receives was added."""
        (ids,) = ctx.saved_tensors
        ctx.gradients.add(ctx.module, ids, outer[0])
        return None, None, None, None
