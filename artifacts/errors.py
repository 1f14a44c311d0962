"""The named errors of the store; each says what is wrong and the way out in one line."""

import errno


class StoreError(Exception):
    """A store that cannot be used as asked."""


class NotFound(StoreError):
    """No artifact, run or ref of that name."""


class Damaged(StoreError):
    """An artifact whose files do not match its manifest."""


class Conflict(StoreError):
    """Somebody else changed what was about to be changed."""


class Busy(StoreError):
    """A live holder works on that run."""


class Unreachable(ConnectionError):
    """An object store that does not answer, or answers with a fault that may pass."""

    def __init__(self, message: str) -> None:
        """Say it in one line; its number is that of a fault of input or output."""
        super().__init__(errno.EIO, message)

    def __str__(self) -> str:
        """The line alone."""
        return str(self.strerror)
