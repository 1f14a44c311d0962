"""How much a training learned: its loss and scores beside those that tell nothing apart."""

import numpy as np
import pyarrow as pa

from strop.pipeline.config import Training
from strop.pipeline.training.health import LAST_SHARE, stays_flat, tells_equal_scores

FEWEST_STEPS = 10
"""A mean of fewer says little."""


def loss_share(log: pa.Table, config: Training) -> float | None:
    """The mean loss of the last steps, as a share of the loss of equal scores.

    1 is a reranker that has learned nothing, 0 one without a doubt. ``log`` is a ``train_log``.
    None where the loss has no such bound (see `health.limits`), or for too few steps. Groups of
    unequal size or weight are taken for as many of their step's mean size.
    """
    last = log.num_rows // LAST_SHARE
    if not tells_equal_scores(config) or last < FEWEST_STEPS:
        return None
    columns = {name: log[name].to_numpy()[-last:] for name in ("loss", "pairs", "groups")}
    equal = np.log(columns["pairs"] / columns["groups"])
    return float(columns["loss"].mean() / equal.mean())


def stayed_flat(log: pa.Table, config: Training) -> bool:
    """Whether a training left its groups' scores as equal as it found them (see `stays_flat`)."""
    return stays_flat(log["score_spread"].to_numpy(), config)
