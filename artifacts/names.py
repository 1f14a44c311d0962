"""Names from outside that become paths: what is refused, so that nothing leaves its folder."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from strop.artifacts.errors import Damaged, StoreError

ID = re.compile(r"[0-9a-f]{6,16}")
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""A kind or an id: no dots, no separators, nothing that a file system folds into another name."""


def check_part(name: str, what: str) -> str:
    """The name itself when it is safe as one folder; raises `StoreError` otherwise."""
    if not isinstance(name, str) or not PART.fullmatch(name):
        raise StoreError(f"{what} {name!r}: expected at most 64 letters, digits, '_' or '-'")
    return name


def looks_like_id(name: str) -> bool:
    """Whether a config's value is an artifact's id, or its first digits, and no file's name."""
    return bool(ID.fullmatch(name)) and not Path(name).exists()


def leaves(name: str) -> bool:
    """Whether a file's name within an artifact could lead out of its folder, on any system."""
    if not name or any(ord(letter) < 32 for letter in name):
        return True
    path = PurePosixPath(name)
    windows = PureWindowsPath(name)
    return (
        path.is_absolute()
        or "\\" in name
        or bool(windows.drive or windows.root)
        or any(part in ("", ".", "..") for part in name.split("/"))
    )


def follows_link(path: Path, folder: Path) -> bool:
    """Whether a path below a folder, or the folder's own last three parts, go through a link."""
    inside = [path, *(parent for parent in path.parents if parent.is_relative_to(folder))]
    above = (folder.parent, folder.parent.parent)
    return any(item.is_symlink() for item in (*inside, *above))


def check_twins(names: Iterable[str], what: str) -> None:
    """Raise `Damaged` for two names that are one on a file system that folds case or accents."""
    seen: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        if folded in seen:
            raise Damaged(
                f"{what}: files {seen[folded]!r} and {name!r} are one file on systems that do not "
                "tell their case or accents apart"
            )
        seen[folded] = name
