"""A Ray cluster to work on: one of this host's own, or one that runs already; checked first."""

import contextlib
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strop.pipeline.config import Execution
from strop.pipeline.errors import InputError
from strop.pipeline.threads import processors
from strop.tasks.cluster_checks import check_address, check_host
from strop.tasks.cluster_nodes import check_nodes

OBJECT_BYTES = 256 << 20
"""Shared memory for what is on its way to workers: a few shards' texts or tokens for each."""
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_task_oom_retries": "3",
    "RAY_worker_niceness": "0",
}
"""No reports to Ray's makers, no warnings of future defaults, no worker killed for ever anew, nor
one that yields to all else on the host, as Ray's do: here it is they that work."""


@dataclass(frozen=True)
class Started:
    """A cluster: shards that it makes at once, whether these are all that it can make, and GPUs."""

    workers: int
    whole: bool
    gpus: bool


@contextlib.contextmanager
def started(execution: Execution, store: str, threads: int) -> Iterator[Started]:
    """This process is connected to the cluster; one of its own is gone afterwards.

    The processes of an own cluster die with this one, also when it is killed.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if execution.address is not None:
        _show_token()
    ray = _ray()
    _quiet(ray)
    with _temporary() as folder:
        if execution.address is None:
            check_host(OBJECT_BYTES, store, Path(folder))
            where = _own(execution, threads, folder)
        else:
            check_address(execution.address)
            where = {"address": execution.address}
        _connect(ray, execution, where)
        try:
            if execution.address is not None:
                check_nodes(execution.address, store, OBJECT_BYTES)
            yield _sizes(ray.cluster_resources(), execution, threads)
        finally:
            ray.shutdown()


def _quiet(ray: Any) -> None:
    """Ray prints of lost workers on standard output, which is ours; manifests count them."""
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    ray._private.worker.print_to_stdstream = lambda *_, **__: None


def _temporary() -> tempfile.TemporaryDirectory[str]:
    """A folder for what Ray keeps of an own cluster while it runs: sockets and logs."""
    return tempfile.TemporaryDirectory(prefix="strop-ray-", ignore_cleanup_errors=True)


def _own(execution: Execution, threads: int, folder: str) -> dict[str, Any]:
    workers = execution.workers or max(1, processors() // threads)
    return {
        "address": "local",  # or Ray would join a cluster that it finds on this host
        "_temp_dir": folder,
        "num_cpus": workers * threads,
        "object_store_memory": OBJECT_BYTES,
        "include_dashboard": False,
    }


def _connect(ray: Any, execution: Execution, where: dict[str, Any]) -> None:
    try:
        with _own_handler():
            ray.init(namespace="strop", configure_logging=False, log_to_driver=False, **where)
    except (RuntimeError, ConnectionError, OSError, ValueError) as error:
        reason, place = " ".join(str(error).split()), execution.address or "this host"
        raise InputError(f"execution.runner = ray: no cluster on {place} ({reason})") from error


@contextlib.contextmanager
def _own_handler() -> Iterator[None]:
    """Keep what this process does when it is asked to end, which Ray would replace."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _show_token() -> None:
    """Show a cluster the token of this user, if there is one: Ray alone would do so when told to.

    `ray start` asks for it unless told otherwise; a cluster that asks for none takes no offence.
    Ray reads this when it is imported.
    """
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    if "RAY_AUTH_TOKEN" in os.environ or Path(path).is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _ray() -> Any:
    try:
        import prefect_ray  # noqa: F401
        import ray
    except ImportError as error:
        raise InputError(
            f"execution.runner = ray: needs packages that are not installed ({error.name}); "
            "pip install 'strop[ray]'"
        ) from error
    return ray


def _sizes(resources: dict[str, float], execution: Execution, threads: int) -> Started:
    gpus = int(resources.get("GPU", 0))
    most = gpus or int(resources.get("CPU", 0)) // threads
    if not most:
        raise InputError(
            f"execution.threads = {threads}: the cluster has "
            f"{int(resources.get('CPU', 0))} processors, expected one for each thread of a worker"
        )
    workers = min(most, execution.workers or most)
    return Started(workers, workers == most, bool(gpus))
