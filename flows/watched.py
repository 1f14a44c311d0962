"""Who watches the stages of the flows that run in this process."""

import contextlib
from collections.abc import Iterator

from strop.tasks.watching import Watcher, unwatch, watch


@contextlib.contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Tell the watcher of every stage while entered."""
    watch(watcher)
    try:
        yield
    finally:
        unwatch(watcher)
