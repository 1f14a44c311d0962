"""Which disk is full, where the library that met it does not say."""

import errno
from pathlib import Path

import pytest

from strop.artifacts.full_disk import SAID, naming_full_disk

NAMELESS = [OSError(errno.ENOSPC, SAID), RuntimeError(f"I/O error: {SAID} (os error 28)")]


@pytest.mark.parametrize("error", NAMELESS)
def test_the_folder_of_a_full_disk_is_named(small_disk: Path, error: Exception) -> None:
    with pytest.raises(OSError, match=SAID) as caught, naming_full_disk(small_disk):
        raise error
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(small_disk))
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", NAMELESS)
def test_another_disk_is_not_blamed(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, naming_full_disk(tmp_path):
        raise error
    assert caught.value is error


def test_an_error_that_names_a_place_or_is_another_stays(small_disk: Path) -> None:
    for error in (OSError(errno.ENOSPC, SAID, "/elsewhere/file"), ValueError("other")):
        with pytest.raises(type(error)) as caught, naming_full_disk(small_disk):
            raise error
        assert caught.value is error
