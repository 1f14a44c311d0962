"""One forward pass of a cross-encoder over a batch of pairs, packed where the model allows it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from strop.pipeline.arrays import Ints
from strop.pipeline.profiling import count_tokens
from strop.pipeline.scoring.first_token import first_token_only
from strop.pipeline.scoring.half_norms import norms_in_half
from strop.pipeline.scoring.on_device import on_device
from strop.pipeline.scoring.packing import packed_batch, packed_layers
from strop.pipeline.scoring.pairs import PairTokens


@contextlib.contextmanager
def lean_layers(model: Any, *, packed: bool) -> Iterator[None]:
    """While entered, the model takes what `batch_of` makes, and omits what its head ignores.

    Pairs are ``packed`` where `packs` says that they can be.
    """
    with contextlib.ExitStack() as entered:
        if not packed:
            entered.enter_context(first_token_only(model))
        else:
            entered.enter_context(packed_layers(model))
            weight = next(model.parameters())
            if weight.device.type == "cuda" and weight.dtype == torch.float32:  # autocast
                entered.enter_context(norms_in_half(model))
        yield


def batch_of(
    model: Any, pairs: PairTokens, rows: Ints, *, pad: int, packed: bool
) -> dict[str, Any]:
    """The model's inputs for some pairs, within `lean_layers`: packed, or else padded."""
    if packed:
        return packed_batch(model, pairs, rows)
    return padded_batch(pairs, rows, pad=pad, device=next(model.parameters()).device)


def padded_batch(
    pairs: PairTokens, rows: Ints, *, pad: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """The model's inputs for some pairs, padded to the longest of them."""
    lengths = pairs.tokens.lengths[rows]
    width = int(lengths.max())
    count_tokens(int(lengths.sum()), width * len(rows))
    places = np.arange(width)
    mask = places < lengths[:, None]
    sources = np.minimum(pairs.tokens.offsets[rows][:, None] + places, len(pairs.tokens.flat) - 1)
    batch = {
        "input_ids": np.where(mask, pairs.tokens.flat[sources], pad),
        "attention_mask": mask.astype(np.int64),
    }
    if pairs.types is not None:
        batch["token_type_ids"] = np.where(mask, pairs.types.flat[sources], 0)
    return {name: on_device(value, device) for name, value in batch.items()}


def logits(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """One float32 logit a pair."""
    found: torch.Tensor = model(**batch).logits[:, 0].float()
    return found
