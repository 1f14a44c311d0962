"""What must hold before a cluster gets work: each breach is one line, before the first stage."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

from strop.artifacts.store import Store
from strop.pipeline.errors import InputError
from strop.tasks.free_disk import disk_shortage, in_mb

SHARED_MEMORY = Path("/dev/shm")
ANSWER_SECONDS = 5.0
CONNECT_SECONDS = 30.0
"""Importing Ray takes some of these."""
CONNECT = """
import sys, ray
try:
    ray.init(sys.argv[1], configure_logging=False, log_to_driver=False)
except Exception as error:
    asks = "InvalidAuthToken" in f"{error} {error.__cause__}"
    sys.exit(print("it asks for a token; set RAY_AUTH_TOKEN" if asks else error) or 1)
"""


def check_host(shared_bytes: int, store: str, temporary: Path) -> None:
    """Raise `InputError` when this host has too little shared memory or disk for a cluster."""
    if SHARED_MEMORY.is_dir():
        free = shutil.disk_usage(SHARED_MEMORY).free
        if free < shared_bytes:
            raise InputError(
                f"execution.runner = ray: {SHARED_MEMORY} has {in_mb(free)} free, expected "
                f"{in_mb(shared_bytes)}; enlarge it (containers: --shm-size), or take "
                "runner = local"
            )
    folders = {"the store": Store(store).local, "Ray's files": temporary}
    if shortage := disk_shortage(folders):
        raise InputError(f"execution.runner = ray: {shortage}")


def check_address(address: str) -> None:
    """Raise `InputError` when nothing answers at a cluster's address, or not Ray."""
    require_answer(address)
    if not address.startswith("ray://"):
        _check_ray(address)


def require_answer(address: str) -> None:
    """Raise `InputError` when nothing answers at a cluster's address."""
    host, port = address.removeprefix("ray://").rsplit(":", 1)
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, getattr(error, "strerror", None) or str(error)) from error


def _check_ray(address: str) -> None:
    """Connect in a process of its own, which can be stopped: Ray itself would try for minutes."""
    command = [sys.executable, "-c", CONNECT, address]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=CONNECT_SECONDS, check=False, text=True
        )
    except subprocess.TimeoutExpired as error:
        raise _no_cluster(address, f"Ray got none within {CONNECT_SECONDS:.0f} s") from error
    if done.returncode:
        raise _no_cluster(address, " ".join(done.stdout.split()) or "what listens is not Ray")


def _no_cluster(address: str, reason: str) -> InputError:
    return InputError(
        f"execution.address = {address}: no cluster answers there ({reason}); start one with "
        "`ray start --head`, or leave it out for one on this host"
    )
