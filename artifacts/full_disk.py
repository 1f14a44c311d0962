"""A full disk, named by its folder where the library that met it says no place."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAID = "No space left on device"
"""What libraries say that are not written in Python, and raise as errors of their own."""
LITTLE_BYTES = 1 << 24


@contextmanager
def naming_full_disk(folder: Path) -> Iterator[None]:
    """Work that writes below a folder; raises `OSError` with its name where its disk is full.

    Another disk may be the full one, such as that of temporary files: it is looked at.
    """
    try:
        yield
    except Exception as error:
        if _says_no_place(error) and shutil.disk_usage(folder).free < LITTLE_BYTES:
            raise OSError(errno.ENOSPC, SAID, str(folder)) from error
        raise


def _says_no_place(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return error.filename is None
    return SAID in str(error) and getattr(error, "filename", None) is None
