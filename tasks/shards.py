"""The shards of a stage: made here one after another, or by the workers of a cluster.

Where the borders are follows from the data and the config alone, and a shard's bits from its rows:
the whole is the same bytes, whoever made the shards, however many did, and in whatever order.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pyarrow as pa

from strop.artifacts.manifest import Manifest, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.progress import Progress
from strop.tasks.cluster import Cluster, current
from strop.tasks.make_shard import ROWS, ShardJob
from strop.tasks.work import Models, Work

Context = TypeVar("Context")
KEPT = 8
"""Shards of each worker that may be done before one that was given out earlier."""


@dataclass(frozen=True)
class Stage:
    """A stage that is cut into shards: its store, its attempt at the whole, and who is told."""

    store: Store
    attempt: Attempt
    progress: Progress
    models: Models = field(default_factory=Models)

    @property
    def spread(self) -> bool:
        """Whether workers make the shards."""
        return current() is not None

    def count(self, **shards: int) -> None:
        """Keep in the manifest how many shards were made, found and repeated."""
        counts = self.attempt.execution.setdefault("shards", {"made": 0, "found": 0, "repeated": 0})
        for name, number in shards.items():
            counts[name] += number


def in_shards(
    stage: Stage, part: str, pieces: Iterable[tuple[Context, pa.Table | None]], work: Work
) -> Iterator[tuple[Context, pa.Table | None]]:
    """What ``work`` makes of every piece's rows, in order; a piece without rows needs none.

    ``part`` tells several kinds of shards of one stage apart.
    """
    cluster = current()
    if cluster is None:
        for context, rows in pieces:
            made = None if rows is None else work(stage.store, rows, stage.models, stage.progress)
            yield context, made
        return
    yield from _Spread[Context](stage, part, work, cluster).results(pieces)


@dataclass
class _Waiting(Generic[Context]):
    """A piece that was given out: its result when it is there, or who makes it."""

    context: Context
    rows: int
    future: Any = None
    made: Manifest | None = None

    @property
    def done(self) -> bool:
        return self.future is None


@dataclass
class _Spread(Generic[Context]):
    """Pieces on their way to workers and back."""

    stage: Stage
    part: str
    work: Work
    cluster: Cluster
    number: int = 0
    waiting: deque[_Waiting[Context]] = field(default_factory=deque)

    def results(
        self, pieces: Iterable[tuple[Context, pa.Table | None]]
    ) -> Iterator[tuple[Context, pa.Table | None]]:
        """All results, in order. What is left of them when this ends early is made all the same:
        taking a shard back from Ray while its worker hands it over makes Ray abort this process.
        """
        for context, rows in pieces:
            self.waiting.append(self._give_out(context, rows))
            while self._full():
                self._await_one()
                yield from self._in_order()
            yield from self._in_order()
        while self.waiting:
            self._await_one()
            yield from self._in_order()

    def _give_out(self, context: Context, rows: pa.Table | None) -> _Waiting[Context]:
        if rows is None:
            return _Waiting(context, 0)
        recipe = self._recipe(rows)
        self.number += 1
        if found := self.stage.store.lookup(recipe):
            self.stage.progress.advance(rows.num_rows)
            self.stage.count(found=1)
            return _Waiting(context, rows.num_rows, made=found)
        job = ShardJob(
            self.stage.store.location, recipe, self.work, rows, threads=self.cluster.threads
        )
        return _Waiting(context, rows.num_rows, future=self.cluster.submit(job))

    def _recipe(self, rows: pa.Table) -> Recipe:
        whole = self.stage.attempt.recipe
        parameters = {
            "of": whole.key,
            "part": self.part,
            "number": self.number,
            "content": _content(rows),
        }
        return Recipe("shard", whole.stage, whole.recipe, parameters, whole.inputs)

    def _full(self) -> bool:
        at_work = sum(not item.done for item in self.waiting)
        return at_work >= self.cluster.at_once or (
            at_work > 0 and len(self.waiting) >= KEPT * self.cluster.workers
        )

    def _await_one(self) -> None:
        """Wait until a worker is done, looking now and then whether the run was cancelled."""
        at_work = [item for item in self.waiting if not item.done]
        if not at_work:
            return
        for index in self.cluster.await_some([item.future for item in at_work]):
            item = at_work[index]
            # Another run that is done with the same shards may be hiding this one just now.
            item.made = self.stage.store.use(self.cluster.result(item.future))
            item.future = None
            self.stage.count(made=1, repeated=int(item.made.execution.get("repeats", 0) > 0))
            self.stage.progress.advance(item.rows)
        self.stage.progress.advance(0)

    def _in_order(self) -> Iterator[tuple[Context, pa.Table | None]]:
        while self.waiting and self.waiting[0].done:
            item = self.waiting.popleft()
            yield item.context, None if item.made is None else self._read(item.made)

    def _read(self, made: Manifest) -> pa.Table:
        table = self.stage.store.table(made, ROWS)
        self.stage.attempt.shards.append(made)
        self.stage.store.let_go(made)
        return table


def _content(rows: pa.Table) -> str:
    """The digest of a table's values and types, whatever its chunks."""
    sink = hashlib.sha256()
    sink.update(str(rows.schema).encode())
    for batch in rows.combine_chunks().to_batches():
        with pa.BufferOutputStream() as stream:
            with pa.ipc.new_stream(stream, batch.schema) as writer:
                writer.write_batch(batch)
            sink.update(stream.getvalue())
    return sink.hexdigest()
