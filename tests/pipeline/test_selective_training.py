"""Selective training: only the members that carry the gradient are run backward."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from strop.pipeline.config import Training
from strop.pipeline.scoring.dense_layers import products, supported
from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.training import gradients as ways
from strop.pipeline.training import trainer
from tests.pipeline.training_world import (
    config,
    gradients,
    one_recorded_step,
    trainer_of,
    without_dropout,
)

FEW = [{"carried": 0.1}] * 3


@pytest.fixture(params=[False, True], ids=["dense", "sparse"])
def sparse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether tokens without a gradient cost nothing, which the CPU decides otherwise."""
    monkeypatch.setattr(trainer, "supported", lambda model: request.param)
    return bool(request.param)


def one_step(
    folder: Path, tmp_path: Path, *, way: str, before: list[Any], **training: Any
) -> tuple[float, dict[str, torch.Tensor], list[int], float]:
    """Loss, gradient, the rows of every forward pass with a graph, and the share that carried."""
    loaded = without_dropout(load_reranker(folder))
    # Scores that are far apart beside the temperature, as those of a trained reranker are.
    settings = config(dropout=0.0, temperature=0.002, groups_per_step=6, gradients=way, **training)
    made = trainer_of(loaded, settings, tmp_path)
    made.records.steps.extend(before)
    batch = made.data_collator(list(range(6)))["groups"]
    rows: list[int] = []

    def count(module: Any, inputs: Any, output: Any) -> None:
        if torch.is_grad_enabled():
            rows.append(len(output.logits))

    loaded.model.register_forward_hook(count)
    loss = one_recorded_step(made, batch).item()
    carried = made.records.steps[-1].get("carried", 1.0)
    return loss, gradients(loaded.model), rows, carried


def cosine(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    flat = [torch.cat([found[name].flatten() for name in sorted(one)]) for found in (one, other)]
    return float(torch.nn.functional.cosine_similarity(flat[0], flat[1], dim=0))


def test_few_members_carry_the_gradient(
    reranker_folder: Path, tmp_path: Path, sparse: bool
) -> None:
    loss, exact, all_rows, _ = one_step(reranker_folder, tmp_path, way="kept", before=[])
    found, gradient, rows, carried = one_step(
        reranker_folder, tmp_path, way="selective", before=FEW
    )
    assert found == pytest.approx(loss, rel=1e-5)
    few = round(carried * sum(all_rows))
    assert few < 0.6 * sum(all_rows)
    assert sum(rows) == (sum(all_rows) if sparse else few), "run again only where that saves"
    assert 0.99 <= cosine(gradient, exact) < 1


def test_the_gradient_is_the_same_with_one_pass_and_with_two(
    reranker_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for sparse in (False, True):
        monkeypatch.setattr(trainer, "supported", lambda model, said=sparse: said)
        found.append(one_step(reranker_folder, tmp_path, way="selective", before=FEW)[1])
    for name, values in found[0].items():
        torch.testing.assert_close(found[1][name], values, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_members_that_carry_nothing_are_not_multiplied(
    reranker_folder: Path, tmp_path: Path, precision: str
) -> None:
    if not supported(load_reranker(reranker_folder).model):
        pytest.skip("no AVX-512 here: members are run again instead")
    if precision == "bf16" and products("bf16") != torch.bfloat16:
        pytest.skip("no instructions for bf16 here: autocast's products are PyTorch's")

    def multiplied(way: str) -> int:
        with torch.profiler.profile(record_shapes=True) as trace:
            one_step(reranker_folder, tmp_path, way=way, before=[], precision=precision)
        products = [e for e in trace.events() if e.name == "mkldnn::_linear_pointwise"]
        return sum(e.input_shapes[0][0] for e in products if len(e.input_shapes[0]) == 2)

    assert multiplied("selective") < 0.8 * multiplied("kept")


def test_graphs_that_memory_has_no_room_for_are_never_kept(
    reranker_folder: Path, tmp_path: Path, sparse: bool
) -> None:
    _, _, rows, carried = one_step(
        reranker_folder, tmp_path, way="selective", before=[], graph_tokens=64
    )
    _, _, all_rows, _ = one_step(reranker_folder, tmp_path, way="kept", before=[])
    assert carried < 0.6
    assert sum(rows) < 0.8 * sum(all_rows)


def test_without_sparse_products_the_gradient_is_exact_until_few_members_are_known_to_carry_it(
    reranker_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "supported", lambda model: False)
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
