"""How many threads the numerical libraries use."""

import os
import sys


def use_threads(count: int | None) -> None:
    """Limit the libraries that are loaded, and those that will be; None changes nothing."""
    if count is None:
        return
    os.environ["OMP_NUM_THREADS"] = str(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
