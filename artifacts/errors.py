"""The named errors of the store; each says what is wrong and the way out in one line."""


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
