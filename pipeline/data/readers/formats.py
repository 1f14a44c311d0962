"""The table of formats that can be imported; a new one is a file of its own and a line here."""

from collections.abc import Callable
from dataclasses import dataclass

from strop.pipeline.data.collector import Collector
from strop.pipeline.data.locations import Location
from strop.pipeline.data.readers.beir import beir_files, read_beir, warn_of_unread
from strop.pipeline.data.readers.files import Files
from strop.pipeline.data.readers.flagembedding import flagembedding_files, read_flagembedding
from strop.pipeline.data.readers.hugging_face import hugging_face_files, read_hugging_face
from strop.pipeline.data.readers.options import Options
from strop.pipeline.data.readers.tables import read_tables, table_files
from strop.pipeline.data.readers.trec import read_trec, trec_files
from strop.pipeline.data.validation import Defects
from strop.pipeline.errors import InputError


@dataclass(frozen=True)
class Format:
    """How a format is found and read; ``repeats`` where rows give texts again and again.

    ``warn`` tells of files beside those that are read.
    """

    files: Callable[[Location, Options], Files]
    read: Callable[[Files, Options, Collector], None]
    repeats: bool
    warn: Callable[[Location, Defects], None] | None = None


FORMATS = {
    "beir": Format(beir_files, read_beir, repeats=False, warn=warn_of_unread),
    "flagembedding": Format(flagembedding_files, read_flagembedding, repeats=True),
    "trec": Format(trec_files, read_trec, repeats=False),
    "huggingface": Format(hugging_face_files, read_hugging_face, repeats=True),
    "table": Format(table_files, read_tables, repeats=True),
}


def format_named(name: str) -> Format:
    """The format of a name; raises `InputError` listing all."""
    if name not in FORMATS:
        raise InputError(f"format {name!r}: unknown; expected {', '.join(FORMATS)}")
    return FORMATS[name]
