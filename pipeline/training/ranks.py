"""The processes that train one reranker together, each on its share of every step's groups.

Every process plans all groups and holds all weights. A step's groups are shared out by tokens; each
process adds up the gradients of its share, divided by the number of groups of the *whole* step, and
the sum over processes is the gradient of one process, but for the order of its additions. DDP's own
averaging over the last backward pass does not fit: processes run unequal numbers of micro-batches,
and one may have no group in a short last step.
"""

import heapq
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist

from strop.pipeline.arrays import Ints
from strop.pipeline.training import exchange

Value = TypeVar("Value")

BUCKET_ELEMENTS = 8 * 2**20
"""Elements of the gradients that are exchanged at once: 32 MB in fp32."""
PATIENCE = timedelta(hours=2)
"""How long a process waits for the others, one of which may be measuring dev."""


@dataclass(frozen=True)
class Ranks:
    """One of ``size`` processes; ``writer`` is the rank that writes, measures and tells.

    ``group`` exchanges values over the CPU.
    """

    rank: int = 0
    size: int = 1
    writer: int = 0
    group: Any = None

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == self.writer

    def share(self, tokens_by_group: Ints) -> Ints:
        """The places of this process's groups among a step's."""
        return shares(tokens_by_group, self.size)[self.rank]

    def told(self, value: Value | None) -> Value:
        """The writer's value, in every process."""
        if self.size == 1:
            return value  # type: ignore[return-value]
        found: Value = exchange.broadcast(
            value, source=self.writer, sends=self.writes, group=self.group
        )
        return found

    def all(self, value: Value) -> list[Value]:
        """Every process's value, in every process."""
        if self.size == 1:
            return [value]
        return exchange.gather(value, size=self.size, group=self.group)

    def total(self, values: Iterable[float]) -> list[float]:
        """The sums over all processes."""
        found = torch.tensor(list(values), dtype=torch.float64)
        if self.size > 1:
            dist.all_reduce(found, group=self.group)
        return [float(value) for value in found]

    def sum_gradients(self, model: Any) -> None:
        """Give every weight the sum of its gradients over all processes.

        A weight without a gradient anywhere stays without; its optimizer state must not move.
        """
        if self.size == 1:
            return
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        if not weights:
            return
        moved = torch.tensor([weight.grad is not None for weight in weights], dtype=torch.int32)
        dist.all_reduce(moved, op=dist.ReduceOp.MAX, group=self.group)
        reached = [weight for weight, any_ in zip(weights, moved.tolist(), strict=True) if any_]
        for weight in reached:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        for gradients in _buckets([weight.grad for weight in reached]):
            flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
            dist.all_reduce(flat)
            parts = torch.split(flat, [gradient.numel() for gradient in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view_as(gradient))


ALONE = Ranks()
"""The one process of a training that is not shared out."""


def join(writes: bool) -> Ranks:
    """Meet the other processes that torchrun started; the first one that ``writes`` is the writer.

    Over NCCL where every process has a GPU of its own, over gloo on CPUs.
    """
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(local_rank())
    dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    group = dist.new_group(backend="gloo", timeout=PATIENCE)
    ranks = Ranks(dist.get_rank(), dist.get_world_size(), group=group)
    writers = [rank for rank, one in enumerate(ranks.all(writes)) if one]
    if not writers:
        raise RuntimeError("no process has the description of the training")
    return Ranks(ranks.rank, ranks.size, writers[0], group)


def local_rank() -> int:
    """Which of this host's processes this is, as torchrun says."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def leave() -> None:
    """Part from the other processes."""
    dist.destroy_process_group()


def shares(tokens_by_group: Ints, size: int) -> list[Ints]:
    """The groups of each of ``size`` processes, in their order, with about equal tokens.

    The largest group goes first, each to whoever has the fewest tokens: no share exceeds the best
    possible one by more than a third. Source: Graham, "Bounds on multiprocessing timing anomalies",
    1969.
    """
    found: list[list[int]] = [[] for _ in range(size)]
    loads = [(0, rank) for rank in range(size)]
    for place in np.argsort(-tokens_by_group, kind="stable").tolist():
        load, rank = heapq.heappop(loads)
        found[rank].append(place)
        heapq.heappush(loads, (load + int(tokens_by_group[place]), rank))
    return [np.asarray(sorted(places), np.int64) for places in found]


def _buckets(gradients: list[Any]) -> Iterator[list[Any]]:
    """Gradients of one type and device, in order, up to so many elements together."""
    held: list[Any] = []
    for gradient in gradients:
        full = sum(other.numel() for other in held) + gradient.numel() > BUCKET_ELEMENTS
        if held and (full or gradient.dtype != held[0].dtype):
            yield held
            held = []
        held.append(gradient)
    if held:
        yield held
