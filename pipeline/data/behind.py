"""Work that goes on beside what gives it: a thread of its own, one piece after another."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self


class Behind:
    """Does pieces of work in order, of which one at most waits, so that memory stays bounded."""

    def __init__(self) -> None:
        """Start no thread before there is work."""
        self._thread = ThreadPoolExecutor(1)
        self._last: Future[object] | None = None

    def do(self, work: Callable[[], object]) -> None:
        """Begin a piece of work when the last is done; raises what that one raised."""
        self.wait()
        self._last = self._thread.submit(work)

    def wait(self) -> None:
        """Return when all is done; raises what the last piece raised."""
        last, self._last = self._last, None
        if last:
            last.result()

    def __enter__(self) -> Self:
        """Enter."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what has begun."""
        self._thread.shutdown()
