import numpy as np
import pytest
import torch

from strop.pipeline.scoring.batches import Batching, token_budget_batches


def batches(lengths: list[int], *, budget: int, cost: int) -> list[list[int]]:
    found = token_budget_batches(np.array(lengths), Batching(budget, cost))
    return [rows.tolist() for rows in found]


def test_a_cut_that_costs_less_than_its_padding_is_made() -> None:
    # One batch has 40 places; two have 20 and 2.
    assert batches([1, 10, 1, 10], budget=40, cost=17) == [[1, 3], [0, 2]]
    assert batches([1, 10, 1, 10], budget=40, cost=18) == [[1, 3, 0, 2]]


def test_a_batch_keeps_within_the_budget_unless_one_pair_alone_is_longer() -> None:
    assert batches([4, 50, 4, 4], budget=8, cost=1) == [[1], [0], [2, 3]]
    assert batches([], budget=8, cost=1) == []


@pytest.mark.parametrize("seed", range(5))
def test_every_pair_is_in_one_batch_and_no_greedy_cut_is_cheaper(seed: int) -> None:
    random = np.random.default_rng(seed)
    lengths, batching = random.integers(1, 60, 200), Batching(300, 20)
    found = list(token_budget_batches(lengths, batching))
    assert sorted(np.concatenate(found).tolist()) == list(range(200))
    assert all(len(rows) * lengths[rows].max() <= 300 for rows in found)
    full = list(token_budget_batches(lengths, Batching(300, 10**6)))

    def cost(cut: list[np.ndarray]) -> int:
        return sum(int(len(rows) * lengths[rows].max()) + 20 for rows in cut)

    assert cost(found) < cost(full)
    assert len(full) < len(found)


def test_a_cpu_gets_batches_that_its_cache_holds_and_a_gpu_full_ones() -> None:
    assert Batching.on(torch.device("cpu"), 8192).budget == 2048
    assert Batching.on(torch.device("cpu"), 512).budget == 512
    assert Batching.on(torch.device("cuda"), 8192) == Batching(8192, 8192)


def test_batches_without_padding_are_full() -> None:
    lengths, batching = np.array([7, 9, 1, 30, 8, 7]), Batching(17, 100, padded=False)
    found = [rows.tolist() for rows in token_budget_batches(lengths, batching)]
    assert found == [[3], [1, 4], [0, 5, 2]]
    assert list(token_budget_batches(lengths[:0], batching)) == []
