"""A step's gradients are those of one padded batch, however it is cut up and run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from strop.pipeline.config import Config
from strop.pipeline.scoring.dense_layers import products
from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.training import gradients as ways
from strop.pipeline.training.collator import GroupBatch
from strop.pipeline.training.course import Course
from strop.pipeline.training.preparation import recompute_layers
from tests.pipeline.training_world import (
    collator,
    config,
    gradients,
    one_recorded_step,
    padded_scores,
    trainer_of,
    without_dropout,
)


def settings(**training: Any) -> Config:
    return config(dropout=0.0, temperature=0.5, groups_per_step=6, **training)


def one_padded_batch(
    folder: Path, changes: Any = lambda scores, batch: scores
) -> tuple[float, dict[str, torch.Tensor], GroupBatch]:
    """Loss and gradients of the first step by PyTorch's own cross-entropy over one batch."""
    loaded = without_dropout(load_reranker(folder))
    batch = collator(loaded, settings())(list(range(6)))["groups"]
    scores = changes(padded_scores(loaded, batch), batch)
    shifts = torch.from_numpy(np.log(batch.members.weights))
    losses = [
        cross_entropy(scores[start:end] / 0.5 + shifts[start:end], torch.tensor(0)) * weight
        for start, end, weight in zip(
            batch.offsets, batch.offsets[1:], batch.weights.tolist(), strict=False
        )
    ]
    loss = torch.stack(losses).mean()
    loss.backward()
    return loss.item(), gradients(loaded.model), batch


def one_step(
    folder: Path, tmp_path: Path, course: Course | None = None, **training: Any
) -> tuple[float, dict[str, torch.Tensor], Any]:
    """The same by strop's trainer."""
    loaded = without_dropout(load_reranker(folder))
    trainer = trainer_of(loaded, settings(**training), tmp_path, course)
    batch = trainer.data_collator(list(range(6)))["groups"]
    loss = one_recorded_step(trainer, batch)
    return loss.item(), gradients(loaded.model), trainer


def assert_close(
    found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], atol: float = 1e-5
) -> None:
    assert found.keys() == expected.keys()
    assert max(gradient.abs().max() for gradient in expected.values()) > 1e-2
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=atol, rtol=1e-4)


@pytest.mark.parametrize("way", ["auto", "kept", "two_pass"])
@pytest.mark.parametrize(
    ("graph_tokens", "micro_batch_tokens"), [(64, 64), (300, 64), (300, 2048), (65_536, 2048)]
)
def test_a_step_has_the_gradient_of_one_padded_batch(
    reranker_folder: Path, tmp_path: Path, way: str, graph_tokens: int, micro_batch_tokens: int
) -> None:
    loss, expected, _ = one_padded_batch(reranker_folder)
    found_loss, found, _ = one_step(
        reranker_folder,
        tmp_path,
        gradients=way,
        graph_tokens=graph_tokens,
        micro_batch_tokens=micro_batch_tokens,
    )
    assert found_loss == pytest.approx(loss, abs=1e-5)
    assert_close(found, expected)


def test_recomputed_layers_give_the_same_gradient(reranker_folder: Path, tmp_path: Path) -> None:
    _, expected, batch = one_padded_batch(reranker_folder)
    loaded = without_dropout(load_reranker(reranker_folder))
    recompute_layers(loaded.model)
    runs: list[Any] = []
    loaded.model.bert.encoder.layer[0].attention.register_forward_hook(lambda *a: runs.append(a))
    forwards: list[Any] = []
    loaded.model.bert.embeddings.register_forward_hook(lambda *a: forwards.append(a))
    last = loaded.model.bert.encoder.layer[1].intermediate
    shapes: list[Any] = []
    last.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape[:-1]))
    trainer = trainer_of(loaded, settings(), tmp_path)
    trainer.training_step(loaded.model, {"groups": batch})
    assert_close(gradients(loaded.model), expected)
    assert len(runs) == 2 * len(forwards) > 0, "forward, and again in the backward pass"
    assert sum(map(np.prod, shapes)) == batch.offsets[-1], (
        "the last layer still gives its first token alone"
    )


def test_parts_are_runs_of_groups_within_the_tokens() -> None:
    tokens = np.asarray([50, 40, 30, 200, 10])

    def found(way: str) -> list[tuple[int, int]]:
        return ways.parts(tokens, settings(gradients=way, graph_tokens=100).training)

    assert found("kept") == found("auto") == [(0, 2), (2, 3), (3, 4), (4, 5)]
    assert found("two_pass") == [(0, 5)]


def test_only_a_group_that_is_too_large_takes_two_passes() -> None:
    def two(way: str, tokens: int) -> bool:
        return ways.in_two_passes(tokens, settings(gradients=way, graph_tokens=100).training)

    assert [two("auto", 100), two("auto", 101)] == [False, True]
    assert [two("kept", 101), two("two_pass", 5)] == [False, True]


def test_two_passes_leave_out_what_the_kept_graphs_leave_out(
    reranker_folder: Path, tmp_path: Path
) -> None:
    """With dropout on, the same random states give the same scores, loss and gradient."""
    found = []
    for way in ("kept", "two_pass"):
        loaded = load_reranker(reranker_folder)
        plain = config(gradients=way, micro_batch_tokens=64, groups_per_step=6)
        trainer = trainer_of(loaded, plain, tmp_path)
        batch = trainer.data_collator(list(range(6)))["groups"]
        torch.manual_seed(7)
        loss = trainer.training_step(loaded.model, {"groups": batch}).item()
        found.append((loss, gradients(loaded.model), torch.rand(1).item()))
    assert found[0][0] == found[1][0]
    assert found[0][2] == found[1][2], "the next step would begin with other random numbers"
    assert_close(found[1][1], found[0][1], atol=1e-7)


def test_the_residual_objective_adds_the_first_stage_in_the_loss_only(
    reranker_folder: Path, tmp_path: Path
) -> None:
    def residual(scores: torch.Tensor, batch: GroupBatch) -> torch.Tensor:
        return scores + 2 * torch.from_numpy(batch.members.first_stage_scores)

    loss, expected, batch = one_padded_batch(reranker_folder, residual)
    _, _, plain = one_step(reranker_folder, tmp_path)
    found_loss, found, trainer = one_step(reranker_folder, tmp_path, residual_weight=2.0)
    assert found_loss == pytest.approx(loss, abs=1e-5)
    assert_close(found, expected)
    # First-stage scores are 4.5 for the positive and 5, 4, 3, … for the negatives.
    first = batch.members.first_stage_scores[: batch.offsets[1]]
    assert first[1] > first[0] > first[2]
    spread = [t.records.steps[0]["score_spread"] for t in (plain, trainer)]
    assert spread[0] == spread[1], "the record tells of the reranker's own scores"


def test_a_warm_start_distils_the_first_stage(reranker_folder: Path, tmp_path: Path) -> None:
    loaded = without_dropout(load_reranker(reranker_folder))
    batch = collator(loaded, settings())(list(range(6)))["groups"]
    scores = padded_scores(loaded, batch)
    total = torch.zeros(())
    for group, weight in enumerate(batch.weights.tolist()):
        rows = slice(*batch.offsets[group : group + 2].tolist())
        shifts = torch.from_numpy(np.log(batch.members.weights[rows]))
        prior = torch.from_numpy(batch.members.first_stage_scores[rows])
        teacher = (prior + shifts).softmax(0)
        student = (scores[rows] / 0.5 + shifts).log_softmax(0)
        total = total + weight * (teacher * (teacher.log() - student)).sum() / 6
    total.backward()
    course = Course(factor=lambda step: 1.0, warm_start_steps=1)
    found_loss, found, trainer = one_step(reranker_folder, tmp_path, course)
    assert found_loss == pytest.approx(total.item(), abs=1e-5)
    assert_close(found, gradients(loaded.model))
    trainer.state.global_step = 1
    one_recorded_step(trainer, batch)
    assert trainer.records.steps[1]["loss"] == pytest.approx(
        one_padded_batch(reranker_folder)[0], abs=1e-5
    )


@pytest.mark.parametrize("instructions", [True, False])
def test_half_precision_stays_near_on_a_cpu(
    reranker_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instructions: bool
) -> None:
    if instructions and products("bf16") != torch.bfloat16:
        pytest.skip("no instructions for bf16 here")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
    loss, expected, batch = one_padded_batch(reranker_folder)
    for way in ("kept", "two_pass"):
        loaded = without_dropout(load_reranker(reranker_folder))
        trainer = trainer_of(loaded, settings(precision="bf16", gradients=way), tmp_path)
        assert trainer.args.bf16 is not instructions, "autocast is for machines without"
        model = trainer.accelerator.prepare(loaded.model)
        found = trainer.training_step(model, {"groups": batch}).item()
        assert found != loss
        assert found == pytest.approx(loss, rel=0.03)
        for name, gradient in gradients(loaded.model).items():
            assert gradient.dtype == torch.float32
            torch.testing.assert_close(gradient, expected[name], atol=0.02, rtol=0.2)
