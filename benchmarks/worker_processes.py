"""The processes below a `strop deploy`: its worker, and what that started for a flow run."""

import subprocess

import psutil


def worker_of(process: subprocess.Popen[str]) -> psutil.Process | None:
    """The worker that a `strop deploy` has started, once it is there."""
    children = psutil.Process(process.pid).children()
    return next((child for child in children if "worker" in _command(child)), None)


def engine_of(worker: psutil.Process) -> psutil.Process | None:
    """The process of a worker's flow run, below whatever the worker put between."""
    below = worker.children(recursive=True)
    engines = [child for child in below if any("engine" in part for part in _command(child))]
    return engines[-1] if engines else None


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
