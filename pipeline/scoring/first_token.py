"""Leaves out what a cross-encoder's last layer computes for tokens that nobody reads."""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

FIRST_TOKEN_MODELS = {
    "BertForSequenceClassification",
    "ElectraForSequenceClassification",
    "RobertaForSequenceClassification",
    "XLMRobertaForSequenceClassification",
}
"""Models whose head reads the first token alone and whose layers are built like BERT's."""
HEADLESS_MODELS = {"BertModel", "ElectraModel", "RobertaModel", "XLMRobertaModel"}
"""The same without a head, as bi-encoders have them."""


@contextlib.contextmanager
def first_token_only(model: Any) -> Iterator[None]:
    """While entered, the last layer gives its first token alone.

    Its keys and values still come from every token, so the logits are the same; queries, attention
    output and feed-forward are computed for one token instead of all, which saves some 14 % of a
    six-layer model's forward pass. Models of another build are left as they are.
    """
    layers = layers_like_bert(model) if type(model).__name__ in FIRST_TOKEN_MODELS else None
    if layers is None or model.config._attn_implementation not in ("sdpa", "eager"):
        yield
        return
    layer = layers[-1]
    layer.forward = partial(_forward, layer)
    try:
        yield
    finally:
        del layer.forward


def layers_like_bert(model: Any) -> Any:
    """The layers of a model of `FIRST_TOKEN_MODELS` or `HEADLESS_MODELS`, or None."""
    known = FIRST_TOKEN_MODELS | HEADLESS_MODELS
    if type(model).__name__ not in known or model.config.is_decoder:
        return None
    return model.base_model.encoder.layer


def _forward(
    layer: Any, hidden: torch.Tensor, mask: torch.Tensor | None = None, *rest: Any, **options: Any
) -> torch.Tensor:
    """The layer's output for the first token; shape (batch, 1, width)."""
    attention = layer.attention.self
    first = hidden[:, :1]
    query, key, value = (
        projection(states)
        .view(hidden.shape[0], -1, attention.num_attention_heads, attention.attention_head_size)
        .transpose(1, 2)
        for projection, states in (
            (attention.query, first),
            (attention.key, hidden),
            (attention.value, hidden),
        )
    )
    attended = scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=None if mask is None else mask[:, :, :1],
        dropout_p=attention.dropout.p if layer.training else 0.0,
        scale=attention.scaling,
    )
    joined = attended.transpose(1, 2).reshape(hidden.shape[0], 1, -1)
    attention_output = layer.attention.output(joined, first)
    output: torch.Tensor = layer.output(layer.intermediate(attention_output), attention_output)
    return output
