"""Runs a cross-encoder over the tokens of its pairs alone: one pair after another, no padding.

Dense layers, norms and activations look at each token by itself, so that only attention has to know
where a pair ends. Shorter and longer pairs then share one product, and no place of it is empty.

Source: unpadding as in Zeng et al., "Boosting distributed training performance of the unpadded BERT
model", 2022.
"""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from strop.pipeline.arrays import Ints
from strop.pipeline.profiling import count_tokens
from strop.pipeline.ragged import Ragged
from strop.pipeline.scoring.first_token import layers_like_bert
from strop.pipeline.scoring.pairs import PairTokens


def packs(model: Any) -> bool:
    """Whether a model's pairs can be packed: layers built like BERT's, on a CPU.

    A GPU would want another kernel for attention; there batches are padded.
    """
    layers = layers_like_bert(model)
    return (
        layers is not None
        and model.config._attn_implementation == "sdpa"
        and next(model.parameters()).device.type == "cpu"
    )


@contextlib.contextmanager
def packed_layers(model: Any) -> Iterator[None]:
    """While entered, a model that `packs` takes what `packed_batch` makes.

    Its logits and gradients are those of padded batches up to the order of fp32 sums. The last
    layer gives the first token of every pair alone, which is all that the head reads.
    """
    *others, last = layers_like_bert(model)
    attentions = [layer.attention.self for layer in others]
    for attention in attentions:
        attention.forward = partial(_attention, attention)
    last.forward = partial(_first_tokens, last)
    try:
        yield
    finally:
        for module in (*attentions, last):
            del module.forward


def packed_batch(model: Any, pairs: PairTokens, rows: Ints) -> dict[str, Any]:
    """The model's inputs for some pairs: one row with all their tokens.

    ``pair_lengths`` tells the layers where pairs end.
    """
    tokens = pairs.tokens.take(rows)
    count_tokens(len(tokens.flat), len(tokens.flat))
    batch: dict[str, Any] = {
        "input_ids": torch.from_numpy(tokens.flat)[None],
        "position_ids": torch.from_numpy(_positions(model, tokens))[None],
        "pair_lengths": tokens.lengths.tolist(),
    }
    if pairs.types is not None:
        batch["token_type_ids"] = torch.from_numpy(pairs.types.take(rows).flat)[None]
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


def _attention(
    module: Any, hidden: torch.Tensor, *rest: Any, pair_lengths: Sequence[int], **options: Any
) -> tuple[torch.Tensor, None]:
    """Self-attention within pairs; shape (1, tokens, width)."""
    return _attended(module, hidden, hidden, pair_lengths, pair_lengths), None


def _first_tokens(
    layer: Any, hidden: torch.Tensor, *rest: Any, pair_lengths: Sequence[int], **options: Any
) -> torch.Tensor:
    """The layer's output for the first token of every pair; shape (pairs, 1, width)."""
    starts = torch.from_numpy(np.cumsum([0, *pair_lengths[:-1]]))
    first = hidden.index_select(1, starts)
    ones = [1] * len(pair_lengths)
    joined = _attended(layer.attention.self, first, hidden, ones, pair_lengths)
    attention_output = layer.attention.output(joined, first)
    output: torch.Tensor = layer.output(layer.intermediate(attention_output), attention_output)
    return output.transpose(0, 1)


def _attended(
    attention: Any,
    asking: torch.Tensor,
    hidden: torch.Tensor,
    asking_lengths: Sequence[int],
    lengths: Sequence[int],
) -> torch.Tensor:
    """What the tokens ``asking`` read of those of their pairs; shape as ``asking``.

    A pair at a time: its attention is small enough for that, and needs no mask.
    """

    def by_pair(
        projection: Any, states: torch.Tensor, counts: Sequence[int]
    ) -> tuple[torch.Tensor, ...]:
        heads = projection(states).view(
            1, -1, attention.num_attention_heads, attention.attention_head_size
        )
        parts: tuple[torch.Tensor, ...] = heads.transpose(1, 2).split(list(counts), dim=2)
        return parts

    attended = [
        scaled_dot_product_attention(
            *parts,
            dropout_p=attention.dropout.p if attention.training else 0.0,
            scale=attention.scaling,
        ).transpose(1, 2)
        for parts in zip(
            by_pair(attention.query, asking, asking_lengths),
            by_pair(attention.key, hidden, lengths),
            by_pair(attention.value, hidden, lengths),
            strict=True,
        )
    ]
    return torch.cat(attended, dim=1).reshape(asking.shape)
