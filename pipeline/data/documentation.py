"""A documentation-search data set made from the Python packages that are installed anyway.

The summary sentence of a docstring is the query and the rest of that docstring its one relevant
passage. Sources are parsed, never imported; a module's docstrings stay within one split.
"""

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from strop.artifacts.schemas import CORPUS, QRELS, QUERIES
from strop.pipeline.data.dataset import Dataset
from strop.pipeline.data.python_sources import (
    PACKAGES,
    STANDARD_LIBRARY,
    documentation_sources,
    files_by_group,
)
from strop.pipeline.data.query_fields import field_table
from strop.pipeline.errors import InputError
from strop.pipeline.progress import SILENT, Progress
from strop.pipeline.seeds import generator

PASSAGE_WORDS = 50
MIN_PASSAGE_WORDS = 15
MIN_QUERY_WORDS = 5
MAX_QUERY_WORDS = 30
MAX_GROUP_PASSAGES = 60


@dataclass(frozen=True)
class DocumentationSizes:
    """How many passages the corpus has, and how many queries each split has."""

    passages: int = 3500
    train: int = 1200
    dev: int = 150
    gate: int = 250
    test: int = 620

    def queries_by_split(self) -> dict[str, int]:
        """The wanted number of queries of every split, in the order in which they are filled."""
        return {"test": self.test, "gate": self.gate, "dev": self.dev, "train": self.train}


@dataclass(frozen=True)
class _Entry:
    """One usable docstring: the dotted name it documents, its query and its passage."""

    name: str
    group: str
    query: str
    passage: str


_DOCUMENTED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_DOCTEST = re.compile(r"^\s*(>>>|\.\. (plot|code|ipython|doctest)|::\s*$)", re.MULTILINE)
_SECTION = re.compile(
    r"^\s*((Parameters|Returns|Yields|Raises|Attributes|Examples?|References|See [Aa]lso|Arguments"
    r"|Args|Keyword [Aa]rguments|Kwargs|Shape|Usage|Methods|Other Parameters|Notes?|Warnings?"
    r"|Explanation)\s*:?\s*$|:param |:return|:raises|:type |@)",
    re.MULTILINE,
)
_UNDERLINE = re.compile(r"^\s*([-=~*#^+\"])\1{2,}\s*$", re.MULTILINE)
_ROLE = re.compile(r":[a-z]+(?::[a-z]+)?:(?=`)")
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)`\"'\]][.!?])\s+(?=[\"'`(A-Z:])")


def documentation_dataset(
    *, seed: int, sizes: DocumentationSizes, progress: Progress = SILENT
) -> Dataset:
    """The corpus, queries and qrels; the same for one seed and one set of package versions.

    Raises `InputError` if the installed packages hold too few usable docstrings for `sizes`.
    """
    entries = _distinct(_collect(seed, sizes, progress))
    split_by_name = _assign_splits(entries, sizes)
    _check_sizes(entries, split_by_name, sizes)
    corpus = sorted(entries, key=lambda entry: entry.name not in split_by_name)
    return _tables(corpus[: sizes.passages], split_by_name)


def _collect(seed: int, sizes: DocumentationSizes, progress: Progress) -> list[_Entry]:
    """Entries of whole groups in seeded order, until there are enough (a quarter to spare)."""
    found_files = files_by_group()
    names = sorted(found_files)
    wanted = sizes.passages + sizes.passages // 4 + MAX_GROUP_PASSAGES
    progress.start(wanted, "passages")
    entries: list[_Entry] = []
    for index in generator(seed, "documentation", "groups").permutation(len(names)):
        group = names[index]
        found = [
            entry for path, module in found_files[group] for entry in _entries(path, module, group)
        ]
        kept = _sample(found, generator(seed, "documentation", "group", group))
        progress.advance(min(len(kept), wanted - len(entries)))  # the last group may be too many
        entries.extend(kept)
        if len(entries) >= wanted:
            break
    return entries


def _sample(entries: list[_Entry], rng: np.random.Generator) -> list[_Entry]:
    """At most `MAX_GROUP_PASSAGES` entries, so that no large module fills a split alone."""
    chosen = rng.permutation(len(entries))[:MAX_GROUP_PASSAGES]
    return [entries[index] for index in chosen]


def _entries(path: Path, module: str, group: str) -> Iterator[_Entry]:
    """The usable docstrings of one file; a file that does not parse has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for name, docstring in _docstrings(tree.body, module):
        if split := _query_and_passage(docstring):
            yield _Entry(name, group, *split)


def _docstrings(body: Sequence[ast.stmt], prefix: str) -> Iterator[tuple[str, str]]:
    """Dotted name and docstring of the public classes, functions and methods, in file order."""
    for node in body:
        if not isinstance(node, _DOCUMENTED) or node.name.startswith("_"):
            continue
        name = f"{prefix}.{node.name}"
        docstring = ast.get_docstring(node)
        if docstring:
            yield name, docstring
        if isinstance(node, ast.ClassDef):
            yield from _docstrings(node.body, name)


def _query_and_passage(docstring: str) -> tuple[str, str] | None:
    """The summary sentence and the rest of a docstring, or None if one is too thin to search."""
    doctest = _DOCTEST.search(docstring)
    text = _ROLE.sub("", docstring[: doctest.start()] if doctest else docstring)
    paragraph, _, rest = text.strip().partition("\n\n")
    summary, *more = _SENTENCE_END.split(" ".join(paragraph.split()), maxsplit=1)
    query = " ".join(summary.replace("`", "").replace("*", "").split()).rstrip(".:; ")
    rest = "\n".join([*more, rest])
    section = _SECTION.search(rest)
    prose = rest[: section.start()] if section else rest
    passage = _UNDERLINE.sub("", rest).split()
    if len(prose.split()) < MIN_PASSAGE_WORDS or len(passage) < MIN_PASSAGE_WORDS:
        return None
    if not MIN_QUERY_WORDS <= len(query.split()) <= MAX_QUERY_WORDS:
        return None
    return query, " ".join(passage[:PASSAGE_WORDS])


def _distinct(entries: Sequence[_Entry]) -> list[_Entry]:
    """The entries whose name, query and passage no other entry shares; sharers go on both sides."""
    keys = [(entry.name, _words(entry.query), _words(entry.passage)) for entry in entries]
    counts = [Counter(column) for column in zip(*keys, strict=True)]
    return [
        entry
        for entry, key in zip(entries, keys, strict=True)
        if all(count[part] == 1 for count, part in zip(counts, key, strict=True))
    ]


def _words(text: str) -> str:
    """A text without case, punctuation and white space, to compare it by."""
    return " ".join(re.findall(r"\w+", text.lower()))


def _assign_splits(entries: Sequence[_Entry], sizes: DocumentationSizes) -> dict[str, str]:
    """Split by entry name: whole groups fill one split after the other, what is over has none."""
    split_by_name: dict[str, str] = {}
    remaining = sizes.queries_by_split()
    split_by_group: dict[str, str] = {}
    for entry in entries:
        open_splits = [split for split, count in remaining.items() if count > 0]
        if entry.group not in split_by_group and not open_splits:
            break
        split = split_by_group.setdefault(entry.group, open_splits[0] if open_splits else "")
        if split and remaining[split] > 0:
            split_by_name[entry.name] = split
            remaining[split] -= 1
    return split_by_name


def _check_sizes(
    entries: Sequence[_Entry], split_by_name: Mapping[str, str], sizes: DocumentationSizes
) -> None:
    """Raises if there are fewer passages or queries than asked for."""
    wanted = sum(sizes.queries_by_split().values())
    if wanted > sizes.passages:
        raise InputError(
            f"documentation: {wanted:,} queries need as many passages, but only "
            f"{sizes.passages:,} are asked for; raise `passages` or lower the queries"
        )
    if len(entries) < sizes.passages or len(split_by_name) < wanted:
        raise InputError(
            f"documentation: the installed packages ({', '.join(documentation_sources())}) hold "
            f"{len(entries):,} usable docstrings, but {sizes.passages:,} passages and {wanted:,} "
            f"queries are asked for; lower the sizes"
        )


def _tables(corpus: Sequence[_Entry], split_by_name: Mapping[str, str]) -> Dataset:
    """The tables; passages in the order of their names, queries in that of their ids."""
    passages = sorted(corpus, key=lambda entry: entry.name)
    asked = [(f"q:{entry.name}", entry) for entry in passages if entry.name in split_by_name]
    corpus_rows = [
        {"passage_id": entry.name, "title": "", "text": entry.passage, "parent_id": None}
        for entry in passages
    ]
    query_rows = [
        {"query_id": query_id, "text": entry.query, "weight": 1.0, "group_id": entry.group}
        | {"split": split_by_name[entry.name]}
        for query_id, entry in asked
    ]
    qrel_rows = [
        {"query_id": query_id, "passage_id": entry.name, "grade": 1}
        | {"split": split_by_name[entry.name]}
        for query_id, entry in asked
    ]
    packages = {query_id: {"package": _package(entry)} for query_id, entry in asked}
    return Dataset(
        corpus=pa.Table.from_pylist(corpus_rows, schema=CORPUS),
        queries=pa.Table.from_pylist(query_rows, schema=QUERIES),
        query_fields=field_table(packages),
        qrels=pa.Table.from_pylist(qrel_rows, schema=QRELS),
    )


def _package(entry: _Entry) -> str:
    package = entry.group.partition(".")[0]
    return package if package in PACKAGES else STANDARD_LIBRARY
