"""Work that goes on beside what gives it: a thread of its own, one piece after another."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self


class Behind:
    """Does pieces of work in order, of which one at most waits, so that memory stays bounded."""

    def __init__(self) -> None:
        """Start no thread before there is work."""
        self._thread = ThreadPoolExecutor(1)
        self._given: deque[Future[object]] = deque()

    def do(self, work: Callable[[], object]) -> None:
        """Take a piece of work when no other waits; raises what an earlier one raised."""
        self._wait(until=1)
        self._given.append(self._thread.submit(work))

    def wait(self) -> None:
        """Return when all is done; raises what a piece raised."""
        self._wait(until=0)

    def _wait(self, until: int) -> None:
        while len(self._given) > until:
            self._given.popleft().result()

    def __enter__(self) -> Self:
        """Enter."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what has begun; what only waits is left where the work failed."""
        self._thread.shutdown(cancel_futures=error is not None)
