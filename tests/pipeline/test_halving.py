from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from strop.pipeline.config import BiEncoder, Reranker
from strop.pipeline.first_stage.encoding import Encoder
from strop.pipeline.first_stage.packed_texts import PackedTexts
from strop.pipeline.models import resolve_model
from strop.pipeline.scoring import scorer
from strop.pipeline.scoring.batches import Batching
from strop.pipeline.scoring.forward import logits
from strop.pipeline.scoring.halving import in_halves
from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.scoring.scorer import Scorer
from tests.pipeline.training_world import source
from tests.world import WORDS


def test_rows_come_back_in_their_order_from_batches_that_fit() -> None:
    sizes, full = [], []

    def squares(rows: np.ndarray) -> torch.Tensor:
        if len(rows) > 3:
            raise torch.cuda.OutOfMemoryError
        sizes.append(len(rows))
        return torch.from_numpy(rows) ** 2

    rows = np.array([5, 1, 4, 0, 9, 7, 3])
    found = in_halves(squares, rows, when_full=lambda part: full.append(len(part)))
    assert found.tolist() == (rows**2).tolist()
    assert sizes == [3, 2, 2]
    assert full == [7, 4]


def test_a_single_row_that_does_not_fit_fails() -> None:
    def nothing(rows: np.ndarray) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError

    with pytest.raises(torch.cuda.OutOfMemoryError):
        in_halves(nothing, np.arange(4), when_full=lambda rows: None)


def test_a_budget_is_half_of_what_did_not_fit_but_the_longest_text() -> None:
    lengths = np.array([100, 60, 40])
    batching = Batching(400, 400, padded=False)
    assert batching.halved(lengths, 64) == Batching(100, 400, padded=False)
    assert batching.halved(lengths, 64).halved(lengths, 64) == Batching(100, 400, padded=False)
    assert batching.halved(lengths, 128) == Batching(128, 400, padded=False)
    assert Batching(400, 400).halved(lengths, 64) == Batching(150, 400)


def full_beyond(tokens: int, compute: Any, calls: list[int]) -> Any:
    """The same in a memory that holds no more tokens than that."""

    def limited(model: Any, batch: Any) -> torch.Tensor:
        calls.append(batch["input_ids"].numel())
        if calls[-1] > tokens:
            raise torch.cuda.OutOfMemoryError
        return compute(model, batch)

    return limited


def test_a_scorer_goes_on_in_a_smaller_memory(
    reranker_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(12)
    settings = Reranker(max_tokens=64, max_query_tokens=16)

    def scored() -> Any:
        made = Scorer(load_reranker(reranker_folder), source(), settings)
        return made.score_rows(rows, rows), made.score_rows(rows, rows[::-1])

    expected, calls = scored(), []
    monkeypatch.setattr(scorer, "logits", full_beyond(150, logits, calls))
    np.testing.assert_allclose(scored(), expected, atol=1e-5)
    assert calls[0] > 150, "it was too small at first"
    assert 75 < max(calls[-3:]) <= 150, "and the budget is no smaller than it has to be"


def test_an_encoder_goes_on_in_a_smaller_memory(
    bi_encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [" ".join(WORDS[: 3 + number % 20]) for number in range(40)]

    def encoded() -> Any:
        encoder = Encoder(resolve_model(str(bi_encoder_folder)), BiEncoder(max_tokens=32))
        return encoder.encode(texts, prompt="")

    expected, calls = encoded(), []
    plain = PackedTexts.vectors

    def limited(self: Any, tokens: Any, rows: Any) -> torch.Tensor:
        calls.append(int(tokens.lengths[rows].sum()))
        if calls[-1] > 100:
            raise torch.cuda.OutOfMemoryError
        return plain(self, tokens, rows)

    monkeypatch.setattr(PackedTexts, "vectors", limited)
    np.testing.assert_allclose(encoded(), expected, atol=1e-5)
    assert max(calls) > 100 >= calls[-1]
