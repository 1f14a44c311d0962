"""What a GPU computes in 16 bits is what a CPU computes in 32, as closely as 16 bits allow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from strop.pipeline.config import BiEncoder, Reranker
from strop.pipeline.first_stage.encoding import Encoder
from strop.pipeline.models import resolve_model
from strop.pipeline.scoring import dense_layers, gpu_layers, on_device
from strop.pipeline.scoring.dense_layers import fast_dense_layers
from strop.pipeline.scoring.forward import batch_of, lean_layers, logits, padded_batch
from strop.pipeline.scoring.gpu_kernels import available
from strop.pipeline.scoring.packing import packs
from strop.pipeline.scoring.precision import HALF
from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.scoring.residual_norm import ResidualNorm
from strop.pipeline.scoring.scorer import Scorer
from strop.pipeline.scoring.trained_gelu import DenseGelu
from strop.pipeline.training import trainer
from tests.pipeline.test_packing import BUILDS, PAD, model, pairs
from tests.pipeline.training_world import config, fit, source
from tests.world import WORDS, pooled, tiny_model, tiny_roberta

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
    fast = fast_dense_layers(made, training=True)
    with lean_layers(made, packed=True), fast, torch.autocast("cuda", HALF[precision]):
        found = logits(made, batch_of(made, given, ROWS, pad=PAD, packed=True))
    found.square().sum().backward()
    after = torch.cat([p.grad.flatten() for p in made.parameters()]).cpu()
    assert torch.corrcoef(torch.stack([found.detach().cpu(), expected.detach()]))[0, 1] > 0.999
    assert torch.cosine_similarity(after, before, dim=0) > 0.99


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Numbers that need a gradient, on the GPU."""
    return torch.randn(*shape, device="cuda").to(dtype).requires_grad_()


def gradients_agree(found: torch.Tensor, expected: torch.Tensor, inputs: list[Any]) -> None:
    """Two ways' results and their gradients with respect to the inputs, up to 16 bits' rounding."""
    outer = torch.randn_like(expected)
    before = torch.autograd.grad(expected, inputs, outer, allow_unused=True)
    after = torch.autograd.grad(found, inputs, outer.to(found.dtype), allow_unused=True)
    for exact, made in zip((expected, *before), (found, *after), strict=True):
        assert (exact is None) == (made is None)
        if exact is not None:
            assert (made.float() - exact.float()).norm() < 0.01 * exact.float().norm()


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize("width", [8, 384, 768, 1024, 1280])
def test_a_residual_norm_and_its_gradients(width: int, precision: str, biased: bool) -> None:
    torch.manual_seed(width)
    states, residual = (drawn(3, 1001, width, dtype=HALF[precision]) for _ in range(2))
    dense_bias, gain, bias = (drawn(width) for _ in range(3))
    added = dense_bias if biased else None
    summed = states.float() + residual.float() + (dense_bias if biased else 0)
    expected = torch.nn.functional.layer_norm(summed, (width,), gain, bias, 1e-5)
    found = ResidualNorm.apply(states, residual, added, gain, bias, 1e-5)
    assert found.dtype == HALF[precision]
    gradients_agree(found, expected, [states, residual, dense_bias, gain, bias])
    with torch.no_grad():
        scored = ResidualNorm.apply(states, residual, added, gain, bias, 1e-5)
    assert (scored.float() - expected).norm() < 0.005 * expected.norm()


@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize("width", [40, 3072])
def test_a_trained_gelu_and_its_gradients(width: int, precision: str) -> None:
    torch.manual_seed(width)
    states = drawn(2, 777, 64, dtype=HALF[precision])
    weight, bias = drawn(width, 64), drawn(width)
    product = states.float() @ weight.to(HALF[precision]).float().t() + bias
    found = DenseGelu.apply(states, weight, bias)
    gradients_agree(found, torch.nn.functional.gelu(product), [states, weight, bias])


def test_without_kernels_of_its_own_scores_and_gradients_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert available(0), "kernels cannot be compiled on this machine"
    made, given = model("bert").cuda(), pairs(types=False)

    def carried_out() -> tuple[torch.Tensor, torch.Tensor]:
        made.zero_grad()
        fast = fast_dense_layers(made, training=True)
        with lean_layers(made, packed=True), fast, torch.autocast("cuda", torch.bfloat16):
            found = logits(made, batch_of(made, given, ROWS, pad=PAD, packed=True))
        found.square().sum().backward()
        return found.detach(), torch.cat([p.grad.flatten() for p in made.parameters()])

    scores, gradient = carried_out()
    for module in (gpu_layers, dense_layers):
        monkeypatch.setattr(module, "available", lambda device: False)
    plain, plain_gradient = carried_out()
    assert torch.corrcoef(torch.stack([scores, plain]))[0, 1] > 0.999
    assert torch.cosine_similarity(gradient, plain_gradient, dim=0) > 0.99
    assert not torch.equal(gradient, plain_gradient), "both ways were the same"


def test_kept_graphs_are_one_forward_pass(
    reranker_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def passes(way: str) -> int:
        calls = []
        counted = lambda *given: calls.append(1) or logits(*given)  # noqa: E731
        monkeypatch.setattr(trainer, "logits", counted)
        made = fit(
            reranker_folder, config(dropout=0.0, micro_batch_tokens=64, gradients=way, epochs=1)
        )
        return len(calls) // made.log.num_rows

    assert passes("kept") == 1
    assert passes("two_pass") > 2


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


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("make", [tiny_model, tiny_roberta])
def test_the_encoder_agrees_with_the_cpu(
    make: Callable[[Path], Path], pooling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = resolve_model(str(pooled(make(tmp_path), pooling)))
    texts = [*(" ".join(WORDS[start : start + 7 * start]) for start in range(30)), "", WORDS[0]]

    def vectors(precision: str, *, packed: bool) -> np.ndarray:
        encoder = Encoder(folder, BiEncoder(precision=precision, batch_tokens=256))
        assert (encoder._packed is not None) == packed
        return encoder.encode(texts, prompt="balo ")

    on_gpu = {precision: vectors(precision, packed=True) for precision in ("auto", "bf16", "fp16")}
    with_padding = vectors("fp32", packed=False)
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        expected = vectors("auto", packed=True)
    np.testing.assert_array_equal(on_gpu["auto"], on_gpu["bf16"])
    np.testing.assert_allclose(with_padding, expected, atol=1e-5)
    for precision in HALF:
        assert (on_gpu[precision] * expected).sum(axis=1).min() > 0.999


@pytest.mark.parametrize(("dropout", "tokens"), [(0.0, 128), (0.3, 65_536)])
def test_two_passes_train_as_kept_graphs_do(
    reranker_folder: Path, dropout: float, tokens: int
) -> None:
    # Kept graphs are one forward pass: only in batches as large does dropout leave out the same.
    ways = {
        way: fit(reranker_folder, config(gradients=way, dropout=dropout, micro_batch_tokens=tokens))
        for way in ("kept", "two_pass")
    }
    losses = [made.log["loss"].to_numpy() for made in ways.values()]
    np.testing.assert_allclose(*losses, rtol=0.02)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_training_whose_steps_are_read_late_is_the_same(
    reranker_folder: Path, dropout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    kept = on_device.OnItsWay.read
    monkeypatch.setattr(on_device.OnItsWay, "read", lambda self: read.append(1) or kept(self))
    late = fit(reranker_folder, config(dropout=dropout))
    count, hook = len(read), trainer.GroupTrainer._maybe_log_save_evaluate

    def at_once(self: Any, *given: Any, **named: Any) -> None:
        self._late = False
        hook(self, *given, **named)

    monkeypatch.setattr(trainer.GroupTrainer, "_maybe_log_save_evaluate", at_once)
    found = fit(reranker_folder, config(dropout=dropout))
    assert count == late.log.num_rows == found.log.num_rows
    np.testing.assert_allclose(late.log["loss"], found.log["loss"], rtol=1e-3)
    np.testing.assert_allclose(late.log["gradient_norm"], found.log["gradient_norm"], rtol=0.02)
