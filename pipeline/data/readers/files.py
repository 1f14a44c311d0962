"""The files of a data set, found by name: compressed ones too, and the split in a name."""

import re
from dataclasses import replace

from strop.pipeline.data.locations import Location

Files = dict[str, Location]
"""Files by the name that stands for them in an artifact's identity."""

COMPRESSED = (".gz", ".zst")
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "validation": "dev",
    "valid": "dev",
    "val": "dev",
    "eval": "dev",
    "gate": "gate",
    "test": "test",
}
"""How the words of a file name, or of a column, say which split it is."""


def with_compression(path: Location) -> Location | None:
    """The file of this name, plain or compressed; None where there is none."""
    for ending in ("", *COMPRESSED):
        found = replace(path, uri=path.uri + ending)
        if found.is_file():
            return found
    return None


def plain_name(name: str) -> str:
    """A file's name without the ending of its compression."""
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return name


def split_of(name: str) -> str | None:
    """The split that a file's name tells by one of its words; None where it tells none."""
    for word in re.split(r"[^a-z]+", name.lower()):
        if word in SPLIT_WORDS:
            return SPLIT_WORDS[word]
    return None
