import numpy as np
import pytest
import torch

from strop.pipeline.scoring.batches import Batching
from strop.pipeline.scoring.halving import in_halves


def test_rows_come_back_in_their_order_from_batches_that_fit() -> None:
    sizes, full = [], []

    def squares(rows: np.ndarray) -> torch.Tensor:
        if len(rows) > 3:
            raise torch.cuda.OutOfMemoryError
        sizes.append(len(rows))
        return torch.from_numpy(rows) ** 2

    rows = np.array([5, 1, 4, 0, 9, 7, 3])
    found = in_halves(squares, rows, when_full=lambda: full.append(len(sizes)))
    assert found.tolist() == (rows**2).tolist()
    assert sizes == [3, 2, 2]
    assert len(full) == 2


def test_a_single_row_that_does_not_fit_fails() -> None:
    def nothing(rows: np.ndarray) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError

    with pytest.raises(torch.cuda.OutOfMemoryError):
        in_halves(nothing, np.arange(4), when_full=lambda: None)


def test_a_budget_is_halved_down_to_the_longest_text() -> None:
    batching = Batching(400, 400, padded=False)
    assert batching.halved(128) == Batching(200, 400, padded=False)
    assert batching.halved(128).halved(128) == Batching(128, 400, padded=False)
