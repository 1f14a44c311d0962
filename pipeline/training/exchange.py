"""Values that processes send each other, as bytes that nothing has to unpickle.

torch.distributed's own exchange of objects pickles them, which would let whoever reaches the
rendezvous run code in every process.
"""

import base64
import json
from typing import Any

import torch
import torch.distributed as dist

RAW, TEXT = b"r", b"t"
BYTES = "base64"


def encoded(value: Any) -> bytes:
    """Bytes as they are, anything else as JSON, in which bytes may stand within a dictionary."""
    if isinstance(value, bytes):
        return RAW + value
    return TEXT + json.dumps(value, default=_bytes_as_text).encode()


def _bytes_as_text(value: Any) -> dict[str, str]:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} cannot be sent to another process")
    return {BYTES: base64.b64encode(value).decode()}


def decoded(data: bytes) -> Any:
    """The value that `encoded` had."""
    if data[:1] == RAW:
        return data[1:]
    return json.loads(data[1:], object_hook=_bytes_of_text)


def _bytes_of_text(values: dict[str, Any]) -> Any:
    return base64.b64decode(values[BYTES]) if set(values) == {BYTES} else values


def broadcast(value: Any, *, source: int, sends: bool, group: Any) -> Any:
    """The value of the process ``source``, in every process."""
    own = _tensor(encoded(value)) if sends else torch.empty(0, dtype=torch.uint8)
    size = torch.tensor([len(own)])
    dist.broadcast(size, src=source, group=group)
    data = own if sends else torch.empty(int(size), dtype=torch.uint8)
    dist.broadcast(data, src=source, group=group)
    return value if sends else decoded(data.numpy().tobytes())


def gather(value: Any, *, size: int, group: Any) -> list[Any]:
    """Every process's value, in every process."""
    own = _tensor(encoded(value))
    lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(size)]
    dist.all_gather(lengths, torch.tensor([len(own)]), group=group)
    longest = max(int(length) for length in lengths)
    padded = torch.zeros(longest, dtype=torch.uint8)
    padded[: len(own)] = own
    found = [torch.empty(longest, dtype=torch.uint8) for _ in range(size)]
    dist.all_gather(found, padded, group=group)
    both = zip(found, lengths, strict=True)
    return [decoded(data[: int(length)].numpy().tobytes()) for data, length in both]


def _tensor(data: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)
