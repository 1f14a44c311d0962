"""Dense layers by better kernels than PyTorch's first choice.

On a CPU it multiplies fp32 matrices with MKL, which does not use AVX-512 on every processor that
has it (on an AMD EPYC it ran at 0.4 of oneDNN's rate). oneDNN is in every PyTorch build for x86.

On a GPU a GELU reads and writes the largest activations of a layer once more. cuBLAS computes it
with the product before it, by the tanh formula, which is off the exact one by 0.0005 at most; in
bf16 scores were no further from those in fp32 with it than without.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch.nn.functional import gelu, linear

from strop.pipeline.scoring.first_token import layers_like_bert
from strop.pipeline.scoring.gpu_kernels import ALIGNED, available
from strop.pipeline.scoring.trained_dense_layers import DenseLayer, FeedForward, product
from strop.pipeline.scoring.trained_gelu import DenseGelu

ERF_GELU = ("GELUActivation", "GELU")
"""Activations that are computed together with the product before them."""


def _kernels_for(
    model: Any, *, training: bool, sparse: bool, dtype: torch.dtype
) -> Callable[[Any], Any] | None:
    """What gives a module its faster forward: in fp32 on a CPU with AVX-512, for scores in bf16 on
    a GPU, and for training there under autocast; None elsewhere.
    """
    weight = next(model.parameters())
    if weight.device.type == "cuda":
        return _gpu_kernels_for(weight, training=training)
    if not supported(model):
        return None
    if not training:
        return _scoring_forward
    if sparse or dtype != torch.float32:
        return _feed_forwards(model, sparse=sparse, dtype=dtype)
    return partial(_training_forward, sparse=False, dtype=dtype)


def _gpu_kernels_for(weight: torch.Tensor, *, training: bool) -> Callable[[Any], Any] | None:
    if not training and weight.dtype == torch.bfloat16:
        return partial(_with_activation, by=_dense_gelu_on_gpu)
    if training and weight.dtype == torch.float32 and available(weight.device.index):
        return _trained_forward_on_gpu
    return None


def _trained_forward_on_gpu(module: Any) -> Any:
    if not _activated(module) or module.dense.out_features % ALIGNED:
        return None
    return partial(_trained_dense_gelu, module.dense)


def supported(model: Any) -> bool:
    """Whether a model's dense layers gain by oneDNN: fp32 on a CPU with AVX-512."""
    weight = next(model.parameters())
    return bool(
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
    )


def products(precision: str) -> torch.dtype:
    """What training in a precision multiplies in, by `fast_dense_layers`.

    A CPU with instructions for bf16 multiplies in it, and keeps fp32 for all else. Elsewhere 16
    bits are autocast's, which takes care of the products too.
    """
    half = (
        precision == "bf16"
        and not torch.cuda.is_available()
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.cpu._is_avx512_bf16_supported()
    )
    return torch.bfloat16 if half else torch.float32


@contextlib.contextmanager
def fast_dense_layers(
    model: Any,
    *,
    training: bool = False,
    sparse: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Iterator[None]:
    """While entered, the model's dense layers compute by these kernels; others stay as they are.

    Outputs and gradients equal PyTorch's up to the order of sums in fp32, and up to the rounding in
    bf16. Without ``training`` there are no gradients, and GELU is computed together with the
    product before it. With both ``training`` and ``sparse``, tokens without a gradient cost next to
    nothing in a backward pass. Training on a CPU multiplies in ``dtype``, and does all else in the
    weights' arithmetic.
    """
    changed: list[Any] = []
    forward_of = _kernels_for(model, training=training, sparse=sparse, dtype=dtype)
    if forward_of is not None:
        for module in model.modules():
            forward = forward_of(module)
            if forward is not None and "forward" not in vars(module):
                module.forward = forward
                changed.append(module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _training_forward(module: Any, *, sparse: bool, dtype: torch.dtype) -> Any:
    if type(module) is not torch.nn.Linear:
        return None
    scores = module.out_features == 1  # which 16 bits would round themselves
    dtype = torch.float32 if scores else dtype
    return partial(_linear_with_gradients, module, sparse=sparse, dtype=dtype)


def _scoring_forward(module: Any) -> Any:
    if type(module) is torch.nn.Linear:
        return partial(_linear, module)
    return _with_activation(module, by=_dense_gelu)


def _with_activation(module: Any, *, by: Callable[..., torch.Tensor]) -> Any:
    """The forward of a dense layer and its exact GELU in one, or None for another module."""
    return partial(by, module.dense) if _activated(module) else None


def _activated(module: Any) -> bool:
    """Whether a module is a dense layer with a bias and its exact GELU, and nothing else."""
    activation = getattr(module, "intermediate_act_fn", None)
    dense = getattr(module, "dense", None)
    if type(activation).__name__ not in ERF_GELU or type(dense) is not torch.nn.Linear:
        return False
    # cuBLAS adds a bias with the activation; another layer than this may stand behind the name.
    return dense.bias is not None and _is_dense_and_activation(module)


def _is_dense_and_activation(module: Any) -> bool:
    exact = getattr(module.intermediate_act_fn, "approximate", "none") == "none"
    return exact and set(dict(module.named_children())) == {"dense", "intermediate_act_fn"}


def _linear(module: Any, states: torch.Tensor) -> torch.Tensor:
    return product(states, module.weight, module.bias)


def _dense_gelu(dense: Any, states: torch.Tensor) -> torch.Tensor:
    return product(states, dense.weight, dense.bias, "gelu")


def _dense_gelu_on_gpu(dense: Any, states: torch.Tensor) -> torch.Tensor:
    rows = states.reshape(-1, states.shape[-1])
    found = torch._addmm_activation(dense.bias, rows, dense.weight.t(), use_gelu=True)
    return found.view(*states.shape[:-1], found.shape[-1])


def _trained_dense_gelu(dense: Any, states: torch.Tensor) -> torch.Tensor:
    if not torch.is_autocast_enabled("cuda"):
        return gelu(linear(states, dense.weight, dense.bias))
    found: torch.Tensor = DenseGelu.apply(  # type: ignore[no-untyped-call]
        states.to(torch.get_autocast_dtype("cuda")), dense.weight, dense.bias
    )
    return found


def _linear_with_gradients(
    module: Any, states: torch.Tensor, *, sparse: bool, dtype: torch.dtype
) -> torch.Tensor:
    if torch.is_autocast_enabled("cpu"):  # entered within the model's call; has kernels of its own
        return linear(states, module.weight, module.bias)
    # By rows: oneDNN answers others with a view, which no model may then change in place.
    rows = states.reshape(-1, states.shape[-1])
    found: torch.Tensor = DenseLayer.apply(  # type: ignore[no-untyped-call]
        rows, module.weight, module.bias, sparse, dtype
    )
    return found.view(*states.shape[:-1], found.shape[-1])


def _feed_forwards(model: Any, *, sparse: bool, dtype: torch.dtype) -> Callable[[Any], Any]:
    """What gives a module its forward where a layer's two wide products are computed together."""
    wide = {
        layer.output.dense: layer.intermediate
        for layer in layers_like_bert(model) or ()
        if type(layer.output.dense) is torch.nn.Linear and _activated(layer.intermediate)
    }

    def forward_of(module: Any) -> Any:
        if module in wide.values():
            return _as_it_is  # the layer behind it computes both
        if module in wide:
            return partial(_feed_forward, wide[module].dense, module, sparse=sparse, dtype=dtype)
        return _training_forward(module, sparse=sparse, dtype=dtype)

    return forward_of


def _as_it_is(states: torch.Tensor) -> torch.Tensor:
    return states


def _feed_forward(
    wide: Any, dense: Any, states: torch.Tensor, *, sparse: bool, dtype: torch.dtype
) -> torch.Tensor:
    found: torch.Tensor = FeedForward.apply(  # type: ignore[no-untyped-call]
        states, wide.weight, wide.bias, dense.weight, dense.bias, sparse, dtype
    )
    return found
