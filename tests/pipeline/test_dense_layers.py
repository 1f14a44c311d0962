from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import DebertaConfig, DebertaForSequenceClassification

from strop.pipeline.scoring.dense_layers import fast_dense_layers, supported
from strop.pipeline.scoring.reranker import load_reranker

IDS = torch.randint(5, 40, (6, 19), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model(reranker_folder: Path) -> torch.nn.Module:
    found: torch.nn.Module = load_reranker(reranker_folder).model
    if not supported(found):
        pytest.skip("no AVX-512 here: dense layers stay PyTorch's")
    return found


def test_outputs_are_those_of_pytorch_and_onednn_multiplies(model: torch.nn.Module) -> None:
    with torch.inference_mode():
        expected = model(IDS).logits
        with fast_dense_layers(model), torch.profiler.profile() as trace:
            found = model(IDS).logits
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    names = {event.key for event in trace.key_averages()}
    assert "mkldnn::_linear_pointwise" in names
    assert not names & {"aten::linear", "aten::gelu"}
    assert not [module for module in model.modules() if "forward" in vars(module)]


def gradients(model: torch.nn.Module, weights: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    (model(IDS).logits[:, 0] ** 2 * weights).sum().backward()
    return {n: w.grad.clone() for n, w in model.named_parameters() if w.grad is not None}


def assert_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-4)


def test_gradients_are_those_of_pytorch(model: torch.nn.Module) -> None:
    expected = gradients(model, torch.ones(6))
    with fast_dense_layers(model, training=True):
        assert_close(gradients(model, torch.ones(6)), expected)


@pytest.mark.parametrize("few", [[], [2], [0, 5], [0, 1, 2, 3, 4, 5]])
def test_rows_without_a_gradient_cost_no_products(model: torch.nn.Module, few: list[int]) -> None:
    weights = torch.zeros(6).index_fill_(0, torch.tensor(few, dtype=torch.int64), 1.0)
    expected = gradients(model, weights)
    sparse = fast_dense_layers(model, training=True, sparse=True)
    with sparse, torch.profiler.profile(record_shapes=True) as trace:
        found = gradients(model, weights)
    assert_close(found, expected)
    inner = model.config.intermediate_size
    products = [e for e in trace.events() if e.name == "mkldnn::_linear_pointwise"]
    shapes = [event.input_shapes[0] for event in products]
    multiplied = {size for shape in shapes if len(shape) == 2 and inner in shape for size in shape}
    # In the last layer only the first token has one.
    assert multiplied == ({len(few), 19 * len(few), inner} if few else set())


class Multiplied(TorchDispatchMode):
    """What oneDNN multiplies while entered: types, and whether one factor is a mere vector."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[torch.dtype, bool]] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> torch.Tensor:
        if func is torch.ops.mkldnn._linear_pointwise.default:
            self.found.add((args[0].dtype, 1 in (*args[0].shape, *args[1].shape)))
        found: torch.Tensor = func(*args, **(kwargs or {}))
        return found


@pytest.mark.parametrize("sparse", [False, True])
def test_products_in_bf16_leave_everything_else_in_fp32(
    model: torch.nn.Module, sparse: bool
) -> None:
    weights = torch.tensor([1.0, 0.0, 2.0, 0.0, 0.0, 1.0])
    expected = gradients(model, weights)
    fast = fast_dense_layers(model, training=True, sparse=sparse, dtype=torch.bfloat16)
    with fast, Multiplied() as multiplied:
        found = gradients(model, weights)
    assert found.keys() == expected.keys()
    assert {value.dtype for value in found.values()} == {torch.float32}
    flat = [torch.cat([g[name].flatten() for name in expected]) for g in (found, expected)]
    assert 0.999 < torch.nn.functional.cosine_similarity(*flat, dim=0) < 1
    # The head's products are those of vectors; scores are not rounded.
    assert multiplied.found == {(torch.bfloat16, False), (torch.float32, True)}


def test_other_precisions_stay_with_pytorch(model: torch.nn.Module) -> None:
    assert not supported(model.to(torch.bfloat16))


def test_a_model_may_change_in_place_what_a_layer_gave() -> None:
    # DeBERTa's attention divides its projections in place.
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    deberta = DebertaForSequenceClassification(
        DebertaConfig(
            vocab_size=50,
            intermediate_size=16,
            relative_attention=True,
            pos_att_type=["c2p", "p2c"],
            num_labels=1,
            **sizes,
        )
    ).eval()
    expected = gradients(deberta, torch.ones(6))
    with fast_dense_layers(deberta, training=True):
        assert_close(gradients(deberta, torch.ones(6)), expected)


def test_a_layer_may_be_given_nothing(model: torch.nn.Module) -> None:
    # A mixture of experts has some without a token.
    expert = torch.nn.ModuleList([torch.nn.Linear(8, 4)])
    model.add_module("experts", expert)
    with fast_dense_layers(model, training=True):
        assert expert[0](torch.zeros(2, 0, 8)).shape == (2, 0, 4)
