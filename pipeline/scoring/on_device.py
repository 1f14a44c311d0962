"""Copies of arrays on a device, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


def on_device(values: np.ndarray[Any, Any], device: torch.device) -> torch.Tensor:
    """An array's values on a device; a GPU fetches them beside its work."""
    made = torch.from_numpy(values)
    return made.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else made


@dataclass(frozen=True)
class OnItsWay:
    """A copy on the host of what a device computes, begun by `on_its_way`."""

    values: torch.Tensor
    done: torch.cuda.Event | None

    def read(self) -> np.ndarray[Any, Any]:
        """The values, once they are there: later work of the device is not waited for."""
        if self.done is not None:
            self.done.synchronize()
        return self.values.numpy()


def on_its_way(values: torch.Tensor) -> OnItsWay:
    """Let a device hand over values as soon as it has them."""
    held, done = values.detach().to("cpu", non_blocking=True), None
    if values.device.type == "cuda":
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(torch.cuda.current_stream(values.device))
    return OnItsWay(held, done)
