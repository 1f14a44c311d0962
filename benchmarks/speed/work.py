"""How many floating-point operations a model needs for its tokens."""

from typing import Any

import numpy as np


def forward_gflop(config: dict[str, Any], lengths: Any, *, first_token_only: bool) -> float:
    """The products of a BERT-like encoder's forward pass over texts of these lengths, in GFLOP.

    A product's multiply and add count as two; without padding, biases, norms and activations.
    With ``first_token_only`` the last layer's queries, outputs and feed-forward are the first
    token's alone, which is all that a classifier reads.
    """
    width, inner = config["hidden_size"], config["intermediate_size"]
    tokens = np.asarray(lengths, np.float64)
    dense = 8 * width**2 + 4 * width * inner
    layer = tokens * dense + 4 * tokens**2 * width
    last = layer
    if first_token_only:
        last = tokens * 4 * width**2 + (dense - 4 * width**2) + 4 * tokens * width + 2 * width**2
    return float(((config["num_hidden_layers"] - 1) * layer + last).sum() / 1e9)
