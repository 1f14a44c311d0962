"""One forward pass of a cross-encoder over a padded batch of pairs."""

from typing import Any

import numpy as np
import torch

from strop.pipeline.arrays import Ints
from strop.pipeline.profiling import count_tokens
from strop.pipeline.scoring.pairs import PairTokens


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
        "input_ids": torch.from_numpy(np.where(mask, pairs.tokens.flat[sources], pad)),
        "attention_mask": torch.from_numpy(mask.astype(np.int64)),
    }
    if pairs.types is not None:
        batch["token_type_ids"] = torch.from_numpy(np.where(mask, pairs.types.flat[sources], 0))
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}


def logits(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """One float32 logit a pair."""
    found: torch.Tensor = model(**batch).logits[:, 0].float()
    return found
