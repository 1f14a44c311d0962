"""Import: a reader's findings, checked and split, as the tables of a dataset."""

import tempfile
from dataclasses import dataclass, field
from typing import Any

from strop.pipeline.data.behind import Behind
from strop.pipeline.data.chunks import Chunking
from strop.pipeline.data.collector import Collector
from strop.pipeline.data.imported import Imported, imported, imported_as_is, query_groups, split
from strop.pipeline.data.like_passages import ReadRows
from strop.pipeline.data.locations import Location, location
from strop.pipeline.data.passages import Write
from strop.pipeline.data.readers.beir import beir_files, read_beir, read_questions
from strop.pipeline.data.readers.files import Files
from strop.pipeline.data.readers.formats import format_named
from strop.pipeline.data.readers.options import Options, read_columns
from strop.pipeline.data.sketched_corpus import SketchedCorpus
from strop.pipeline.data.splits import SplitRule, cut_missing_splits
from strop.pipeline.data.validation import Defects
from strop.pipeline.progress import SILENT, Progress


@dataclass(frozen=True)
class Request:
    """What to import: a format's data at a place, and what a person says about them."""

    format: str
    path: Location
    options: Options = field(default_factory=Options)
    rule: SplitRule = field(default_factory=SplitRule)
    chunking: Chunking | None = None

    @classmethod
    def checked(
        cls,
        name: str,
        path: str,
        columns: list[str],
        rule: dict[str, Any],
        chunks: tuple[int, int] | None = None,
    ) -> "Request":
        """A request in a person's words; raises `InputError` for an unknown format or column.

        ``chunks`` are the words of a chunk, and those that it shares with the one before.
        """
        format_named(name)
        options, cut = Options(read_columns(columns)), Chunking(*chunks) if chunks else None
        return cls(name, location(path), options, SplitRule(**rule), cut)

    def parameters(self) -> dict[str, Any]:
        """The identity parameters: what was said of the data."""
        cut = self.chunking.parameters() if self.chunking else {}
        return {**self.rule.parameters(), **self.options.parameters(), **cut}

    def files(self) -> Files:
        """The files to read; raises `InputError` when they are not there."""
        return format_named(self.format).files(self.path, self.options)


def import_files(
    request: Request,
    *,
    write_corpus: Write,
    read_rows: ReadRows | None = None,
    progress: Progress = SILENT,
) -> Imported:
    """Read and check data; raises `InputError` or, with every kind of error, `InvalidData`.

    With ``read_rows``, which reads what was written, positives are held against all passages.
    """
    chosen, rule = format_named(request.format), request.rule
    files = request.files()
    found = Collector(Defects(), write_corpus, chosen.repeats, progress)
    found.passages.keep_parents = rule.by == "source"
    found.passages.chunking = request.chunking
    if chosen.warn:
        chosen.warn(request.path, found.defects)
    with tempfile.TemporaryFile() as file, Behind() as writing, Behind() as sketching:
        found.passages.writing, found.passages.sketching = writing, sketching
        found.passages.sketched = SketchedCorpus(file) if read_rows else None
        chosen.read(files, request.options, found)
        return imported(found, rule, source=str(request.path), read_rows=read_rows)


def split_files(folder: Location, split: str) -> Files:
    """The files that one split of a BEIR folder is read from."""
    return beir_files(folder, Options(), (split,))


def import_split(folder: Location, split: str, *, write_corpus: Write) -> Imported:
    """Read and check one split of a BEIR folder as it is: nothing to train on is asked for."""
    found = Collector(Defects(), write_corpus)
    read_beir(split_files(folder, split), Options(), found)
    return imported_as_is(found, source=str(folder))


def moves_queries(request: Request) -> bool:
    """Whether near duplicates change the splits of a BEIR folder, which once they did not.

    Data that they do not change keep the id that they had before there was such a rule.
    """
    found, rule = Collector(Defects(), lambda table: None), request.rule
    read_questions(request.files(), request.options, found)
    found.splits = {query: part for query, part in found.splits.items() if query in found.queries}
    groups = query_groups(found, rule)
    plain = cut_missing_splits(found.splits, groups, rule) if rule.by != "time" else {}
    return split(found, rule, groups)[1] != plain
