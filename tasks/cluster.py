"""The Ray cluster whose workers make shards while a run with `execution.runner: ray` goes on.

Shards are Prefect tasks on prefect-ray's `RayTaskRunner`, which finds what is open here.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticSerializationError

from strop.artifacts.manifest import ArtifactRef
from strop.pipeline.config import Execution
from strop.pipeline.errors import InputError, WorkLost
from strop.pipeline.threads import threads_of_worker
from strop.tasks.cluster_start import started
from strop.tasks.make_shard import ShardJob, make_shard

RETRIES = 3
"""Workers beyond the first that a shard is given to, where each is lost."""
LOOK_SECONDS = 1.0
AHEAD = 2
"""Shards given out for each worker, so that none is idle while results are written here."""

_open: list["Cluster"] = []


def current() -> "Cluster | None":
    """The cluster that is open in this process; None where stages do their own work."""
    return _open[-1] if _open else None


@dataclass(frozen=True)
class Cluster:
    """Workers that make shards, so many at once, each with so many threads."""

    runner: Any
    workers: int
    at_once: int
    """Shards that are given out at once; more than workers where none else has a use for these."""
    threads: int
    gpus: bool
    shares_disk: bool
    """Whether its workers are on this host, and so find the files that this process finds."""

    def submit(self, job: ShardJob) -> Any:
        """Have a shard made; returns the future of its ref."""
        from prefect_ray.context import remote_options

        wanted = {"num_cpus": self.threads, "num_gpus": int(self.gpus), "max_retries": RETRIES}
        with remote_options(**wanted), _signals_as_they_are():
            return self.runner.submit(make_shard, {"job": job})

    def await_some(self, futures: Sequence[Any]) -> list[int]:
        """Which of these shards are done, having waited a moment for one."""
        import ray

        found = {future.wrapped_future: index for index, future in enumerate(futures)}
        done, _ = ray.wait(list(found), num_returns=1, timeout=LOOK_SECONDS)
        ready, _ = ray.wait(list(found), num_returns=len(found), timeout=0) if done else ([], [])
        return sorted(found[ref] for ref in ready)

    def result(self, future: Any) -> ArtifactRef:
        """The ref of a shard that is done; raises what its worker raised, or how it was lost."""
        import ray

        try:
            state = ray.get(future.wrapped_future)
        except ray.exceptions.WorkerCrashedError as error:
            raise _too_many_lost(RETRIES + 1) from error
        except ray.exceptions.OutOfMemoryError as error:
            raise InputError(
                "execution.runner = ray: Ray ended a worker because its host ran out of memory; "
                "lower execution.workers, or the batch_tokens of reranker and bi_encoder"
            ) from error
        except ray.exceptions.RayError as error:
            # Of what a worker raised, Ray gives all its lines: the last one tells what it was.
            last = -1 if isinstance(error, ray.exceptions.RayTaskError) else 0
            reason = str(error).strip().splitlines()[last]
            raise WorkLost(
                f"execution.runner = ray: the cluster lost a shard ({reason}); the same command "
                "goes on from the shards that are done"
            ) from error
        ref: ArtifactRef = state.result()
        return ref


@contextlib.contextmanager
def _signals_as_they_are() -> Iterator[None]:
    """Raise what a signal raised, where pydantic made an error of it.

    Prefect has pydantic write its settings for every shard, which takes some of the time, and in
    which a run is stopped as readily as anywhere else.
    """
    try:
        yield
    except PydanticSerializationError as error:
        if error.__cause__ is None or isinstance(error.__cause__, Exception):
            raise
        raise error.__cause__ from None


def _too_many_lost(times: int) -> InputError:
    return InputError(
        f"execution.runner = ray: {times} workers were killed over the same shard, perhaps for "
        "want of memory; lower execution.workers, or the batch_tokens of reranker and bi_encoder"
    )


@contextlib.contextmanager
def cluster(execution: Execution, store: str) -> Iterator[None]:
    """While entered, stages have their shards made by workers, where the config says so.

    Raises `InputError` when there is no such cluster, or when its workers cannot do this work.
    """
    if execution.runner != "ray" or _open:
        yield
        return
    threads = threads_of_worker(execution.threads)
    with started(execution, store, threads) as there:
        from prefect_ray import RayTaskRunner

        with RayTaskRunner() as runner:
            _open.append(
                Cluster(
                    runner,
                    workers=there.workers,
                    at_once=there.workers * (AHEAD if there.whole else 1),
                    threads=threads,
                    gpus=there.gpus,
                    shares_disk=execution.address is None,
                )
            )
            try:
                yield
            finally:
                _open.clear()
