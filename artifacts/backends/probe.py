"""Whether a server keeps to the conditions of writes, without which no two writers are safe."""

import functools
import secrets

from strop.artifacts.backends.bucket import ABSENT, Bucket
from strop.artifacts.errors import Conflict, StoreError

PROBES = "probe"
"""The folder of what is written to learn something about the server, and then deleted."""


@functools.cache
def require_conditions(bucket: Bucket) -> None:
    """Raise `StoreError` where a write that must be refused is not; asks once a process.

    Tries a second creation, a swap of an older version, and one of what is not there.
    """
    key = f"{PROBES}/conditions-{secrets.token_hex(8)}"
    try:
        first = bucket.write(key, b"1", seen=ABSENT)
        _refused(bucket, key, "If-None-Match", seen=ABSENT)
        second = bucket.write(key, b"22", seen=first)
        _refused(bucket, key, "If-Match", seen=first)
        if bucket.read(key) != (b"22", second):
            raise StoreError(f"store {bucket.url}: a write was not there when it was read")
    finally:
        bucket.delete(key)


def _refused(bucket: Bucket, key: str, condition: str, *, seen: str) -> None:
    try:
        bucket.write(key, b"333", seen=seen)
    except Conflict:
        return
    raise StoreError(
        f"store {bucket.url}: its server ignores conditional writes ({condition}), so that two "
        "writers could overwrite each other; use one that honours them, or a local folder"
    )
