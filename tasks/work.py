"""Work that is cut into shards: what makes one, and the models that stay loaded for the next."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from strop.artifacts.store import Store
from strop.pipeline.progress import Progress

Loaded = TypeVar("Loaded")
MODELS_KEPT = 2
"""Models in memory at once: stages come one after another, and seldom need more than one."""


class Models:
    """What was loaded for one shard and serves the next ones too; the oldest goes first."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._loaded: dict[Any, Any] = {}

    def get(self, key: Any, load: Callable[[], Loaded]) -> Loaded:
        """What is loaded under this key, which names an artifact and how it is read."""
        if key not in self._loaded:
            while len(self._loaded) >= MODELS_KEPT:
                del self._loaded[next(iter(self._loaded))]
            self._loaded[key] = load()
        found: Loaded = self._loaded[key]
        return found


class Work(Protocol):
    """Makes the rows of one shard; it travels to other processes, so it holds values alone."""

    def __call__(
        self, store: Store, rows: pa.Table, models: Models, progress: Progress
    ) -> pa.Table:
        """The shard that is made of ``rows``, which have all that is not in the store."""
