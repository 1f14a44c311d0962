"""Copies of arrays on a device."""

from typing import Any

import numpy as np
import torch


def on_device(values: np.ndarray[Any, Any], device: torch.device) -> torch.Tensor:
    """An array's values on a device; a GPU fetches them beside its work."""
    made = torch.from_numpy(values)
    return made.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else made
