"""How many threads the numerical libraries use, and how long these wait for each other."""

import os
import sys

SPINS = 1000
"""Turns that a thread waits for the others before it leaves its core to somebody else."""


def use_threads(count: int | None) -> None:
    """Limit the libraries that are loaded, and those that will be; None changes nothing."""
    if count is None:
        return
    os.environ["OMP_NUM_THREADS"] = str(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def wait_briefly() -> None:
    """Let threads of libraries that will be loaded leave their core while others are behind.

    GNU's OpenMP, with which torch comes on Linux, would turn 300,000 times. On a core that another
    process works on as well, these turns are taken from the very thread that is waited for.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))
