"""Exact gradients of a loss over whole groups, in micro-batches that memory has room for.

A loss over a group needs all its scores at once. Either the graphs of all micro-batches are kept
until one backward pass, or scores are computed without graphs first, the loss's gradient with
respect to the scores is taken, and every micro-batch is run once more to carry its part of that
gradient back (gradient caching). The second run starts from the random state of the first, so that
dropout leaves out the same.

Once a reranker has learned something, most members of its groups have next to no gradient, and
those that carry `CARRIED` of its mass are few. A `selective` step runs only these backward, which
is no exact gradient. Where tokens without a gradient cost nothing in a backward pass, one forward
pass is enough. Elsewhere a step scores all members and runs these few once more: that costs less
than one pass forward and backward over all while they are below two thirds.

Source: Gao, Zhang, Han, Callan, "Scaling deep contrastive learning batch size under memory limited
setup", 2021.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch

from strop.pipeline.arrays import Floats, Ints
from strop.pipeline.config import Training
from strop.pipeline.scoring.batches import full_cuts
from strop.pipeline.scoring.on_device import on_device

Forward = Callable[[Ints], torch.Tensor]
"""The scores of some rows of a part."""
Loss = Callable[[torch.Tensor], torch.Tensor]
"""The loss of a part from the scores of all its rows."""
Backward = Callable[[torch.Tensor], None]
Batch = Callable[[Ints], list[Ints]]
"""The micro-batches of some rows of a part."""
CARRIED = 0.99
"""The share of the gradient's mass that the members of a selective step carry."""
WORTH, REMEMBERED = 0.6, 16
"""Steps run members once more while those that carried the mass of so many steps before were fewer
than this share."""


def parts(tokens_by_group: Ints, config: Training) -> list[tuple[int, int]]:
    """First and last (exclusive) group of each part whose gradients are computed together.

    A part keeps within ``graph_tokens`` or is one group; with two passes the step is one part.
    """
    if config.gradients == "two_pass":
        return [(0, len(tokens_by_group))]
    return list(pairwise(full_cuts(tokens_by_group, config.graph_tokens)))


def in_two_passes(tokens: int, config: Training) -> bool:
    """Whether a part with so many tokens is run in two passes."""
    if config.gradients == "auto":
        return tokens > config.graph_tokens
    return config.gradients == "two_pass"


def keeps_graphs(tokens: int, config: Training) -> bool:
    """Whether the graphs of all of a part with so many tokens are kept for one backward pass."""
    return config.gradients != "selective" and not in_two_passes(tokens, config)


def accumulate(
    forward: Forward,
    loss: Loss,
    batched: Batch,
    backward: Backward,
    *,
    tokens: Ints,
    config: Training,
    carried: Sequence[float],
    sparse: bool,
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Loss and scores of a part in the way that the config says, its gradient accumulated.

    ``tokens`` are those of every row; ``carried`` are what `selective` told of the steps before;
    ``sparse`` tells whether rows without a gradient cost nothing in a backward pass. The last value
    is what `selective` tells of this one, 1 where it was not asked.
    """
    batches, total = batched(np.arange(len(tokens))), int(tokens.sum())
    if config.gradients == "selective":
        many = total > config.graph_tokens
        few = many or (is_worth(carried) and not sparse)
        again = batched if few else None
        return selective(forward, loss, batches, backward, again=again, sparse=sparse)
    run = two_pass if in_two_passes(total, config) else kept
    return *run(forward, loss, batches, backward), 1.0


def kept(
    forward: Forward, loss: Loss, batches: list[Ints], backward: Backward
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and scores of a part, after a backward pass through the graphs of all batches."""
    scores = _in_order([forward(rows) for rows in batches], batches)
    value = loss(scores)
    backward(value)
    return value.detach(), scores.detach()


def two_pass(
    forward: Forward, loss: Loss, batches: list[Ints], backward: Backward
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same with the graph of one batch at a time, for a second forward pass."""
    found, states = [], []
    with torch.no_grad():
        for rows in batches:
            states.append(_random_state())
            found.append(forward(rows))
    scores = _in_order(found, batches).requires_grad_()
    value = loss(scores)
    backward(value)
    assert scores.grad is not None
    for rows, state in zip(batches, states, strict=True):
        with _replayed(state):
            again = forward(rows)
        again.backward(scores.grad[on_device(rows, scores.device)])  # type: ignore[no-untyped-call]
    return value.detach(), scores.detach()


def selective(
    forward: Forward,
    loss: Loss,
    batches: list[Ints],
    backward: Backward,
    *,
    again: Batch | None,
    sparse: bool,
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Loss, scores, and the share of members that carry `CARRIED` of the gradient's mass.

    Only these are run once more, in the micro-batches that ``again`` makes of them. Without it the
    graphs of all are kept, and the others' gradient is set to zero where that is ``sparse``, else
    it is exact.
    """
    with torch.set_grad_enabled(again is None):
        found = _in_order([forward(rows) for rows in batches], batches)
    scores = found.detach().requires_grad_()
    value = loss(scores)
    backward(value)
    assert scores.grad is not None
    rows = carrying(scores.grad.abs().cpu().numpy())
    if again is None:
        gradient = scores.grad
        if sparse:
            chosen = on_device(rows, gradient.device)
            gradient = torch.zeros_like(gradient).index_copy_(0, chosen, gradient[chosen])
        found.backward(gradient)  # type: ignore[no-untyped-call]
    else:
        for part in again(rows):
            gradient = scores.grad[on_device(part, scores.device)]
            forward(part).backward(gradient)  # type: ignore[no-untyped-call]
    return value.detach(), scores.detach(), len(rows) / len(scores)


def carrying(mass: Floats) -> Ints:
    """The fewest rows that carry `CARRIED` of a mass, in order."""
    order = np.argsort(-mass, kind="stable")
    reached = np.cumsum(mass[order], dtype=np.float64)
    count = int(np.searchsorted(reached, CARRIED * reached[-1])) + 1
    return np.sort(order[:count])


def is_worth(carried: Sequence[float]) -> bool:
    """Whether the next step should run members once more, by the shares of the steps before."""
    return bool(carried) and float(np.mean(carried[-REMEMBERED:])) < WORTH


def _in_order(found: list[torch.Tensor], batches: list[Ints]) -> torch.Tensor:
    """The scores of all batches, in the order of a part's rows."""
    scores = torch.cat(found)
    return scores[on_device(np.argsort(np.concatenate(batches), kind="stable"), scores.device)]


State = tuple[torch.Tensor, torch.Tensor | None]


def _random_state() -> State:
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return torch.get_rng_state(), cuda


def _set_random_state(state: State) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])


@contextmanager
def _replayed(state: State) -> Iterator[None]:
    """Start from a random state, and go on from the present one afterwards."""
    present = _random_state()
    _set_random_state(state)
    try:
        yield
    finally:
        _set_random_state(present)
