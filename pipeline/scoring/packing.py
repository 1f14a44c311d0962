"""Runs a model over the tokens of its pairs or texts alone: one after another, no padding.

Dense layers, norms and activations look at each token by itself, so that only attention has to know
where a pair ends. Shorter and longer pairs then share one product, and no place of it is empty.

Source: unpadding as in Zeng et al., "Boosting distributed training performance of the unpadded BERT
model", 2022.
"""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.functional import linear

from strop.pipeline.arrays import Ints
from strop.pipeline.profiling import count_tokens
from strop.pipeline.ragged import Ragged
from strop.pipeline.scoring.first_token import layers_like_bert
from strop.pipeline.scoring.gpu_layers import residual_norms
from strop.pipeline.scoring.on_device import on_device
from strop.pipeline.scoring.pair_attention import by_equal_lengths, by_variable_lengths
from strop.pipeline.scoring.pairs import PairTokens
from strop.pipeline.scoring.precision import HALF
from strop.pipeline.scoring.spans import Spans

FLASH_HEADS = range(8, 257, 8)
"""Widths of an attention head that FlashAttention computes."""


def packs(model: Any, precision: str = "fp32") -> bool:
    """Whether a model's pairs can be packed: layers built like BERT's, on a CPU, or in bf16 or fp16
    on a GPU that has FlashAttention.
    """
    layers = layers_like_bert(model)
    if layers is None or model.config._attn_implementation != "sdpa":
        return False
    device = next(model.parameters()).device
    if device.type == "cpu":
        return True
    head = layers[0].attention.self.attention_head_size
    return precision in HALF and head in FLASH_HEADS and _has_flash_attention(device)


def _has_flash_attention(device: torch.device) -> bool:
    return (
        device.type == "cuda"
        and torch.backends.cuda.is_flash_attention_available()
        and torch.cuda.get_device_capability(device) >= (8, 0)
    )


@contextlib.contextmanager
def packed_layers(model: Any, *, all_tokens: bool = False) -> Iterator[None]:
    """While entered, a model that `packs` takes what `packed_batch` makes.

    Its outputs and gradients are those of padded batches up to the order of sums. The last layer
    gives the first token of every pair alone, which is all that a head reads, or ``all_tokens``.
    """
    layers = layers_like_bert(model)
    on_gpu = next(model.parameters()).device.type == "cuda"
    changed = []
    try:
        for layer in layers if all_tokens else layers[:-1]:
            changed.append(_called_directly(layer))
        if not all_tokens:
            changed.append(layers[-1])
            layers[-1].forward = partial(_first_tokens, layers[-1])
        with residual_norms(model) if on_gpu else contextlib.nullcontext():
            yield
    finally:
        for module in changed:
            del module.forward


def packed_batch(model: Any, pairs: PairTokens, rows: Ints) -> dict[str, Any]:
    """The model's inputs for some pairs: one row with all their tokens.

    ``spans`` tells the layers where pairs end.
    """
    tokens, device = pairs.tokens.take(rows), next(model.parameters()).device
    count_tokens(len(tokens.flat), len(tokens.flat))
    edges = None
    if device.type == "cuda":
        edges = on_device(tokens.offsets.astype(np.int32), device)
    batch: dict[str, Any] = {
        "input_ids": on_device(tokens.flat, device)[None],
        "position_ids": on_device(_positions(model, tokens), device)[None],
        "spans": Spans(tuple(tokens.lengths.tolist()), edges),
    }
    if pairs.types is not None:
        batch["token_type_ids"] = on_device(pairs.types.take(rows).flat, device)[None]
    return batch


def _positions(model: Any, tokens: Ragged) -> Ints:
    """Every token's position in its pair, as the model's embeddings count them."""
    places = np.arange(len(tokens.flat)) - np.repeat(tokens.offsets[:-1], tokens.lengths)
    embeddings = model.base_model.embeddings
    if not hasattr(embeddings, "create_position_ids_from_input_ids"):
        return places
    # RoBERTa counts from the padding's id on, and gives padding within a text no position.
    pad = int(embeddings.padding_idx)
    filled = tokens.flat != pad
    before = np.cumsum(filled) - filled
    counted = before - np.repeat(before[tokens.offsets[:-1]], tokens.lengths) + 1
    return np.where(filled, counted, 0) + pad


def _called_directly(layer: Any) -> Any:
    """Lets a layer read packed tokens; the module whose forward that replaced.

    A layer that is computed again in the backward pass keeps its forward, which sees to that.
    """
    if getattr(layer, "gradient_checkpointing", False):
        attention = layer.attention.self
        attention.forward = partial(_attention, attention)
        return attention
    layer.forward = partial(_every_token, layer)
    return layer


def _attention(
    module: Any, hidden: torch.Tensor, *rest: Any, spans: Spans, **options: Any
) -> tuple[torch.Tensor, None]:
    """Self-attention within pairs; shape (1, tokens, width)."""
    return _attended(module, hidden, hidden, spans, spans), None


def _every_token(
    layer: Any, hidden: torch.Tensor, *rest: Any, spans: Spans, **options: Any
) -> torch.Tensor:
    """The layer's output; shape (1, tokens, width)."""
    attended = _attended(layer.attention.self, hidden, hidden, spans, spans)
    return _joined(layer, attended, hidden)


def _first_tokens(
    layer: Any, hidden: torch.Tensor, *rest: Any, spans: Spans, **options: Any
) -> torch.Tensor:
    """The layer's output for the first token of every pair; shape (pairs, 1, width)."""
    first = hidden.index_select(1, spans.starts)
    attended = _attended(layer.attention.self, first, hidden, spans.first_tokens, spans)
    return _joined(layer, attended, first).transpose(0, 1)


def _joined(layer: Any, attended: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """What follows attention, for tokens alone."""
    joined = layer.attention.output(attended, hidden)
    output: torch.Tensor = layer.output(layer.intermediate(joined), joined)
    return output


def _attended(
    attention: Any, asking: torch.Tensor, hidden: torch.Tensor, asked_by: Spans, spans: Spans
) -> torch.Tensor:
    """What the tokens ``asking`` read of those of their pairs; shape as ``asking``."""
    on_cpu = spans.edges is None
    attend, project = (
        (by_equal_lengths, _one_by_one) if on_cpu else (by_variable_lengths, _together)
    )
    layers = attention.query, attention.key, attention.value
    if asking is hidden:
        projected = project(hidden, *layers)
    else:
        projected = (*project(asking, layers[0]), *project(hidden, *layers[1:]))
    query, key, value = (
        states.view(-1, attention.num_attention_heads, attention.attention_head_size)
        for states in projected
    )
    dropout = attention.dropout.p if attention.training else 0.0
    found = attend(query, key, value, asked_by, spans, dropout=dropout, scale=attention.scaling)
    return found.reshape(asking.shape)


def _one_by_one(states: torch.Tensor, *layers: Any) -> tuple[torch.Tensor, ...]:
    """What several dense layers make of the same tokens; each of shape (tokens, width)."""
    return tuple(layer(states)[0] for layer in layers)


def _together(states: torch.Tensor, *layers: Any) -> tuple[torch.Tensor, ...]:
    """The same by one product, where all are plain layers of one width."""
    if any(type(layer) is not torch.nn.Linear or layer.bias is None for layer in layers):
        return _one_by_one(states, *layers)
    weight = torch.cat([layer.weight for layer in layers])
    bias = torch.cat([layer.bias for layer in layers])
    return linear(states[0], weight, bias).chunk(len(layers), dim=-1)
