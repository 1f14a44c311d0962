"""What is done to a model before it is trained: dropout, frozen layers, recomputed layers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from strop.pipeline.errors import InputError


@contextmanager
def dropout_of(model: Any, dropout: float | None) -> Iterator[None]:
    """While entered, every dropout of the model has this probability; None keeps its own.

    Models hold dropout as modules, as plain numbers (attention) and in their config, from which
    some read it in the forward pass; the saved config keeps the model's own numbers.
    """
    held = [] if dropout is None else [*_dropouts(model)]
    before = [(holder, name, getattr(holder, name)) for holder, name in held]
    for holder, name in held:
        setattr(holder, name, dropout)
    try:
        yield
    finally:
        for holder, name, value in before:
            setattr(holder, name, value)


def _dropouts(model: Any) -> Iterator[tuple[Any, str]]:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            yield module, "p"
    for holder in (*model.modules(), model.config):
        for name, value in vars(holder).items():
            if "dropout" in name and isinstance(value, float):
                yield holder, name


def freeze(model: Any, layers: int) -> None:
    """Keep the embeddings and the lowest ``layers`` layers as they are; 0 trains everything.

    Raises `InputError` when the model has no more layers than that.
    """
    if not layers:
        return
    stacks = [m for m in model.base_model.modules() if isinstance(m, torch.nn.ModuleList)]
    stack = max(stacks, key=len, default=torch.nn.ModuleList())
    if layers >= len(stack):
        raise InputError(
            f"training.frozen_layers = {layers}: the model has {len(stack)} layers, and one at "
            "least must be trained"
        )
    embeddings = getattr(model.base_model, "embeddings", model.get_input_embeddings())
    # ELECTRA widens its embeddings before the first layer reads them.
    projection = getattr(model.base_model, "embeddings_project", torch.nn.Identity())
    for module in (embeddings, projection, *stack[:layers]):
        module.requires_grad_(False)


def recompute_layers(model: Any) -> None:
    """Let the backward pass compute layers again; raises `InputError` where a model cannot."""
    # transformers 5.23 renames the method and warns of the old name.
    enable = getattr(model, "activation_checkpointing_enable", None)
    enable = enable or model.gradient_checkpointing_enable
    try:
        enable({"use_reentrant": False})
    except ValueError as error:
        raise InputError(
            f"training.gradient_checkpointing = true: {type(model).__name__} does not support it"
        ) from error
