"""What a GPU computes in 16 bits is what a CPU computes in 32, as closely as 16 bits allow."""

from pathlib import Path

import numpy as np
import pytest
import torch

from strop.pipeline.config import Reranker
from strop.pipeline.scoring.forward import batch_of, lean_layers, logits, padded_batch
from strop.pipeline.scoring.packing import packs
from strop.pipeline.scoring.precision import HALF
from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.scoring.scorer import Scorer
from tests.pipeline.test_packing import BUILDS, PAD, model, pairs
from tests.pipeline.training_world import config, fit, source

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
ROWS = np.array([2, 0, 3, 5, 1, 4])


@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize("build", BUILDS)
def test_packed_scores_and_gradients_are_those_of_single_pairs(build: str, precision: str) -> None:
    made, given = model(build), pairs(types="roberta" not in build)
    alone = [padded_batch(given, ROWS[i : i + 1], pad=PAD, device=made.device) for i in range(6)]
    expected = torch.cat([logits(made, batch) for batch in alone])
    expected.square().sum().backward()
    before = torch.cat([p.grad.flatten() for p in made.parameters()])
    made.zero_grad()
    made.cuda()
    assert packs(made, precision)
    assert not packs(made, "fp32")
    with lean_layers(made, packed=True), torch.autocast("cuda", HALF[precision]):
        found = logits(made, batch_of(made, given, ROWS, pad=PAD, packed=True))
    found.square().sum().backward()
    after = torch.cat([p.grad.flatten() for p in made.parameters()]).cpu()
    assert torch.corrcoef(torch.stack([found.detach().cpu(), expected.detach()]))[0, 1] > 0.999
    assert torch.cosine_similarity(after, before, dim=0) > 0.99


def test_dropout_leaves_out_the_same_with_the_same_seed() -> None:
    made, given = model("bert").cuda(), pairs(types=False)
    for layer in made.bert.encoder.layer:
        layer.attention.self.dropout.p = 0.5

    def scores() -> torch.Tensor:
        torch.manual_seed(1)
        with (
            torch.no_grad(),
            lean_layers(made, packed=True),
            torch.autocast("cuda", torch.bfloat16),
        ):
            return logits(made, batch_of(made, given, ROWS, pad=PAD, packed=True))

    made.eval()
    whole = scores()
    made.train()
    left_out = scores()
    assert torch.equal(left_out, scores())
    assert (left_out - whole).abs().max() > 0.1


def test_the_scorer_agrees_with_the_cpu(
    reranker_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(12)

    def scores(precision: str) -> np.ndarray:
        settings = Reranker(max_tokens=64, max_query_tokens=16, precision=precision)
        return Scorer(load_reranker(reranker_folder), source(), settings).score_rows(rows, rows)

    on_gpu = {precision: scores(precision) for precision in ("auto", "bf16", "fp16", "fp32")}
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        expected = scores("auto")
    np.testing.assert_array_equal(on_gpu["auto"], on_gpu["bf16"])
    np.testing.assert_allclose(on_gpu["fp32"], expected, atol=1e-5)
    for precision, tolerance in (("bf16", 0.2), ("fp16", 0.03)):
        assert np.abs(on_gpu[precision] - expected).max() < tolerance * expected.std()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_two_passes_train_as_kept_graphs_do(reranker_folder: Path, dropout: float) -> None:
    ways = {
        way: fit(reranker_folder, config(gradients=way, dropout=dropout, micro_batch_tokens=128))
        for way in ("kept", "two_pass")
    }
    losses = [made.log["loss"].to_numpy() for made in ways.values()]
    np.testing.assert_allclose(*losses, rtol=0.02)
