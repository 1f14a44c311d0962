"""The mean of two rerankers' weights."""

import torch

from strop.pipeline.errors import InputError
from strop.pipeline.scoring.reranker import LoadedReranker


def average_weights(base: LoadedReranker, last: LoadedReranker) -> LoadedReranker:
    """The second reranker with the mean of both rerankers' weights, each counting half.

    Raises `InputError` when they are not of one architecture.
    Source: Wortsman et al., "Robust fine-tuning of zero-shot models", 2022.
    """
    ours, theirs = base.model.state_dict(), last.model.state_dict()
    different = sorted(
        name
        for name in ours.keys() | theirs.keys()
        if name not in ours or name not in theirs or ours[name].shape != theirs[name].shape
    )
    if different or type(base.model) is not type(last.model):
        where = f"weight {different[0]!r} differs" if different else type(base.model).__name__
        raise InputError(
            f"training.start = average: the base and the last round's reranker have different "
            f"architectures ({where}); take last_round or base"
        )
    mean = {
        name: torch.lerp(ours[name], weight, 0.5) if weight.is_floating_point() else weight
        for name, weight in theirs.items()
    }
    last.model.load_state_dict(mean)
    return last
