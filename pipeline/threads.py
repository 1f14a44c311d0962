"""How many threads the numerical libraries use, and how long these wait for each other."""

import os
import sys

THREADS = "OMP_NUM_THREADS"
"""The environment variable of the number of threads."""
SAID = os.environ.get(THREADS) or None
"""What the user says of it, which is read before anything here sets it."""
SPINS = 1000
"""Turns that a thread waits for the others before it leaves its core to somebody else."""


def use_threads(count: int | None) -> None:
    """Limit the libraries that are loaded, and those that will be.

    None leaves it to them and to the user's environment, but for a share of the host that they do
    not see: they would have a thread for every processor of it, and stand still together whenever
    the share is used up.
    """
    if count is None:
        count = _unseen_share()
    if count is None:
        return
    os.environ[THREADS] = str(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def threads_of_worker(count: int | None) -> int:
    """Threads of each of several workers: so many, else what the user says of all, else one."""
    return count or int(SAID or 1)


def processors() -> int:
    """The processors that this process may use: of its host, and of its container's share."""
    # Takes a tenth of a second. joblib's own says one where a host has no semaphores.
    from joblib.externals.loky import cpu_count

    return int(cpu_count())


def wait_briefly() -> None:
    """Let threads of libraries that will be loaded leave their core while others are behind.

    GNU's OpenMP, with which torch comes on Linux, would turn 300,000 times. On a core that another
    process works on as well, these turns are taken from the very thread that is waited for.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))


def _unseen_share() -> int | None:
    """This process's share of the processors that it sees, or None where it may use them all."""
    if SAID is not None:
        return None
    linux = hasattr(os, "sched_getaffinity")
    seen = len(os.sched_getaffinity(0)) if linux else os.cpu_count() or 1
    share = processors()
    return share if share < seen else None
