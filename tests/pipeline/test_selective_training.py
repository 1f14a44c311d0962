"""Selective training: the members that carry the gradient alone are run a second time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from strop.pipeline.config import Training
from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.training import gradients as ways
from tests.pipeline.training_world import config, gradients, trainer_of, without_dropout

FEW = [{"carried": 0.1}] * 3


def one_step(
    folder: Path, tmp_path: Path, *, way: str, before: list[Any], temperature: float = 0.002
) -> tuple[float, dict[str, torch.Tensor], list[int], float]:
    """Loss, gradient, the rows of every forward pass with a graph, and the share that carried."""
    loaded = without_dropout(load_reranker(folder))
    # Scores that are far apart beside the temperature, as those of a trained reranker are.
    settings = config(
        dropout=0.0, temperature=temperature, groups_per_step=6, gradients=way, graph_tokens=65_536
    )
    trainer = trainer_of(loaded, settings, tmp_path)
    trainer.records.steps.extend(before)
    batch = trainer.data_collator(list(range(6)))["groups"]
    rows: list[int] = []

    def count(module: Any, inputs: Any, output: Any) -> None:
        if torch.is_grad_enabled():
            rows.append(len(output.logits))

    loaded.model.register_forward_hook(count)
    loss = trainer.training_step(loaded.model, {"groups": batch}).item()
    carried = trainer.records.steps[-1].get("carried", 1.0)
    return loss, gradients(loaded.model), rows, carried


def cosine(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    flat = [torch.cat([found[name].flatten() for name in sorted(one)]) for found in (one, other)]
    return float(torch.nn.functional.cosine_similarity(flat[0], flat[1], dim=0))


def test_few_members_are_run_again_and_carry_the_gradient(
    reranker_folder: Path, tmp_path: Path
) -> None:
    loss, exact, all_rows, _ = one_step(reranker_folder, tmp_path, way="kept", before=[])
    found, gradient, rows, carried = one_step(
        reranker_folder, tmp_path, way="selective", before=FEW
    )
    assert found == pytest.approx(loss, rel=1e-5)
    assert sum(rows) == round(carried * sum(all_rows)) < 0.6 * sum(all_rows)
    assert 0.99 <= cosine(gradient, exact) < 1


def test_the_gradient_is_exact_while_nothing_says_that_few_members_carry_it(
    reranker_folder: Path, tmp_path: Path
) -> None:
    _, exact, all_rows, _ = one_step(reranker_folder, tmp_path, way="kept", before=[])
    for before in ([], [{"carried": 0.9}] * 20):
        _, gradient, rows, _ = one_step(reranker_folder, tmp_path, way="selective", before=before)
        assert sum(rows) == sum(all_rows)
        for name, values in exact.items():
            torch.testing.assert_close(gradient[name], values, atol=1e-6, rtol=1e-4)


def test_the_fewest_rows_carry_the_mass() -> None:
    assert ways.carrying(np.array([0.0, 8.0, 0.05, 2.0])).tolist() == [1, 3]
    assert ways.carrying(np.array([1.0, 1.0, 1.0])).tolist() == [0, 1, 2]
    assert ways.carrying(np.zeros(3)).tolist() == [0]


def test_recent_steps_decide() -> None:
    assert not ways.is_worth([])
    assert ways.is_worth([0.9] * 50 + [0.3] * 16)
    assert not ways.is_worth([0.3] * 50 + [0.9] * 16)


@pytest.mark.parametrize("training", [{}, {"dropout": 0.1}, {"lora": {"dropout": 0.1}}])
def test_dropout_is_refused(training: dict[str, Any]) -> None:
    values = {"gradients": "selective", **({"dropout": 0.0} if "lora" in training else {})}
    with pytest.raises(
        ValidationError, match=r"training\.gradients = selective with training\.dropo"
    ):
        Training.model_validate({**values, **training})
    assert Training(gradients="selective", dropout=0.0).gradients == "selective"
