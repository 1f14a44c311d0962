"""Low-rank adapters: a few weights beside the model's own that are trained instead of them.

Source: Hu et al., "LoRA: low-rank adaptation of large language models", 2021; done by peft.
"""

import warnings
from typing import Any

import torch

from strop.pipeline.config import Lora
from strop.pipeline.errors import InputError

SHOWN = 8
"""How many of the modules that exist an error names."""


def add_adapters(model: Any, lora: Lora, *, seed: int) -> Any:
    """peft's model around the given one, into which it puts the adapters.

    Adapters and the classification head train, everything else stays as it is.
    Raises `InputError` when peft is not installed or the model lacks the target modules.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise InputError(
            "training.lora needs peft, which is not installed: pip install 'strop[lora]'"
        ) from error
    _check_targets(model, lora.target_modules)
    torch.manual_seed(seed)
    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules) or None,
    )
    try:
        with warnings.catch_warnings():
            # peft asks transformers by a name that transformers 5.23 replaced.
            warnings.simplefilter("ignore", FutureWarning)
            adapted = get_peft_model(model, settings)
    except ValueError as error:
        raise InputError(
            f"training.lora.target_modules {_reason(model, lora, error)}; "
            f"name modules, such as {_existing(model)}"
        ) from error
    for module in _head(model):
        module.requires_grad_(True)
    return adapted


def _reason(model: Any, lora: Lora, error: ValueError) -> str:
    """Why peft adapts nothing, after the name of the key."""
    if lora.target_modules:
        return f"= {', '.join(lora.target_modules)}: {str(error).splitlines()[0]}"
    return f"is empty, and peft has no choice for {model.config.model_type}"


def merge(adapted: Any) -> Any:
    """The plain model with the adapters' updates added to its weights."""
    return adapted.merge_and_unload()


def _check_targets(model: Any, targets: tuple[str, ...]) -> None:
    names = [name for name, _ in model.named_modules()]
    for target in targets:
        if not any(name == target or name.endswith(f".{target}") for name in names):
            raise InputError(
                f"training.lora.target_modules: the model has no module {target!r}; it has "
                f"{_existing(model)}"
            )


def _existing(model: Any) -> str:
    """The last names of the model's linear modules, the most frequent first."""
    counts: dict[str, int] = {}
    for name, module in model.base_model.named_modules():
        if isinstance(module, torch.nn.Linear):
            last = name.rpartition(".")[2]
            counts[last] = counts.get(last, 0) + 1
    return ", ".join(sorted(counts, key=lambda name: -counts[name])[:SHOWN])


def _head(model: Any) -> list[Any]:
    """What comes after the layers: the modules beside the base model, and its pooler."""
    beside = [module for name, module in model.named_children() if name != model.base_model_prefix]
    pooler = getattr(model.base_model, "pooler", None)
    return [*beside, pooler] if isinstance(pooler, torch.nn.Module) else beside
