"""The arithmetic that a model runs in, by the config's word and what the device has."""

import copy
from typing import Any

import numpy as np
import torch

from strop.pipeline.errors import InputError

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Arithmetic in 16 bits."""


def resolved_precision(wanted: str, key: str) -> str:
    """fp32, bf16 or fp16; ``auto`` is bf16 on a GPU that has it, else fp32.

    Raises `InputError` naming the config's ``key`` when the device does not have what is wanted.
    """
    cuda = torch.cuda.is_available()
    bf16 = not cuda or torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "auto":
        return "bf16" if cuda and bf16 else "fp32"
    if wanted == "fp16" and not cuda:
        raise InputError(f"{key} = fp16 needs a CUDA GPU, and there is none; take bf16 or fp32")
    if wanted == "bf16" and not bf16:
        raise InputError(f"{key} = bf16: this GPU has no such arithmetic; take fp16 or fp32")
    return wanted


def in_precision(model: Any, precision: str) -> Any:
    """The model, or a copy with weights of 16 bits.

    Buffers stay as they are: the frequencies of rotary positions need their 32 bits.
    """
    if precision not in HALF:
        return model
    halves = {
        id(weight): torch.nn.Parameter(weight.detach().to(HALF[precision]), weight.requires_grad)
        for weight in model.parameters()
    }
    return copy.deepcopy(model, halves)  # takes these for the weights, and copies none of fp32


def require_finite(finite: Any, what: str, precision: str, *, key: str, cure: str) -> None:
    """Raise `InputError` unless all that a model gave is finite, as ``finite`` says of each value.

    One infinity would take the scale and the guard of a whole round with it. Where 16 bits may be
    the cause that is said, and elsewhere the ``cure``.
    """
    if not np.all(finite):
        cure = "fp32 and bf16 reach further" if precision == "fp16" else cure
        raise InputError(
            f"{key}: {int(np.sum(~finite)):,} of {len(finite):,} {what} that the model gave in "
            f"{precision} are no finite numbers; {cure}"
        )
