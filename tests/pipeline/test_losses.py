import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.pipeline.training.losses import group_softmax


def loss(
    scores: torch.Tensor,
    sizes: list[int],
    weights: list[float] | None = None,
    temperature: float = 1.0,
) -> torch.Tensor:
    """The loss of groups of these sizes, whose first member is the positive."""
    lengths = torch.tensor(sizes)
    return group_softmax(
        scores,
        torch.arange(len(sizes)).repeat_interleave(lengths),
        lengths.cumsum(0) - lengths,
        torch.tensor(weights or [1.0] * len(sizes), dtype=scores.dtype),
        temperature=temperature,
    )


def test_ragged_groups_by_hand() -> None:
    # e^0 / (e^0 + e^ln3) = 1/4 and e^ln2 / (e^ln2 + 1 + 1) = 1/2
    scores = torch.tensor([0.0, math.log(3), math.log(2), 0.0, 0.0], dtype=torch.float64)
    assert loss(scores, [2, 3]).item() == pytest.approx(math.log(4) + math.log(2))


def test_weights_by_hand() -> None:
    scores = torch.tensor([0.0, math.log(3), math.log(2), 0.0, 0.0], dtype=torch.float64)
    weighted = loss(scores, [2, 3], [0.5, 3.0]).item()
    assert weighted == pytest.approx(0.5 * math.log(4) + 3 * math.log(2))


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_equal_groups_have_the_loss_and_gradient_of_cross_entropy(temperature: float) -> None:
    ours = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theirs = ours.clone().requires_grad_()
    ours.requires_grad_()
    found = loss(ours.reshape(-1), [5] * 6, temperature=temperature)
    expected = torch.nn.functional.cross_entropy(
        theirs / temperature, torch.zeros(6, dtype=torch.long), reduction="sum"
    )
    assert found.item() == pytest.approx(expected.item())
    found.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_gradient_is_that_of_finite_differences() -> None:
    scores = torch.randn(9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scores.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda values: loss(values, [2, 4, 3], [1.0, 0.3, 2.0], temperature=0.7), (scores,)
    )


def test_logits_far_from_zero_do_not_overflow() -> None:
    scores = torch.tensor([500.0, 498.0, -500.0, -498.0], requires_grad=True)
    found = loss(scores, [2, 2])
    found.backward()
    assert found.item() == pytest.approx(math.log1p(math.exp(-2)) + math.log1p(math.exp(2)))
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 6), min_size=1, max_size=5),
    shift=st.floats(-50, 50),
    seed=st.integers(0, 100),
)
def test_only_differences_within_a_group_count(sizes: list[int], shift: float, seed: int) -> None:
    scores = torch.from_numpy(np.random.default_rng(seed).normal(size=sum(sizes)))
    moved = scores.clone()
    moved[: sizes[0]] += shift
    torch.testing.assert_close(loss(scores, sizes), loss(moved, sizes))
