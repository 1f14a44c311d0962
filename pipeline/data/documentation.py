"""A documentation-search data set made from the Python packages that are installed anyway.

The summary sentence of a docstring is the query and the rest of that docstring its one relevant
passage. Sources are parsed, never imported; a module's docstrings stay within one split.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import platform
import re
import sysconfig
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from strop.pipeline.data.dataset import Dataset

Progress = Callable[[int, int], None]

STANDARD_LIBRARY = "python"
PASSAGE_WORDS = 70
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
class _Package:
    """One source of docstrings: its distribution, its folder and how deep its modules group."""

    distribution: str
    folder: str
    depth: int = 2


@dataclass(frozen=True)
class _Entry:
    """One usable docstring: the dotted name it documents, its query and its passage."""

    name: str
    group: str
    query: str
    passage: str


PACKAGES = (
    _Package(STANDARD_LIBRARY, STANDARD_LIBRARY, 1),
    _Package("huggingface_hub", "huggingface_hub"),
    _Package("matplotlib", "matplotlib"),
    _Package("networkx", "networkx", 3),
    _Package("numpy", "numpy"),
    _Package("prefect", "prefect"),
    _Package("pyarrow", "pyarrow"),
    _Package("pydantic", "pydantic"),
    _Package("scikit-learn", "sklearn"),
    _Package("scipy", "scipy"),
    _Package("sentence-transformers", "sentence_transformers"),
    _Package("SQLAlchemy", "sqlalchemy", 3),
    _Package("sympy", "sympy"),
    _Package("torch", "torch"),
    _Package("transformers", "transformers"),
)

_SKIPPED_FOLDERS = frozenset(
    "__pycache__ _decomp _dynamo _export _inductor _numpy _refs _vendor _vendored array_api_compat "
    "array_api_extra bench benchmarks cli conftest csrc distutils ensurepip externals extern f2py "
    "idlelib lib2to3 models onnx sandbox site-packages site_packages test testing tests turtledemo "
    "utilities_tests vendor vendored".split()
)
_SKIPPED_FILE = re.compile(r"^(test_.*|.*_tests?|conftest|setup|.*_pb2|__main__)$")
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


def documentation_sources() -> dict[str, str]:
    """The version of Python and of each source package that is installed, by distribution."""
    versions = {STANDARD_LIBRARY: platform.python_version()}
    for package in PACKAGES[1:]:
        try:
            versions[package.distribution] = importlib.metadata.version(package.distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def documentation_dataset(
    *, seed: int, sizes: DocumentationSizes, progress: Progress | None = None
) -> Dataset:
    """The corpus, queries and qrels; the same for one seed and one set of package versions.

    `progress(passages found, passages wanted)` is called after each parsed module. Raises
    `ValueError` if the installed packages hold too few docstrings for `sizes`.
    """
    entries = _distinct(_collect(seed, sizes, progress))
    split_by_name = _assign_splits(entries, sizes)
    _check_sizes(entries, split_by_name, sizes)
    corpus = entries[: sizes.passages]
    return _tables(corpus, {entry.name: split_by_name.get(entry.name) for entry in corpus})


def _collect(seed: int, sizes: DocumentationSizes, progress: Progress | None) -> list[_Entry]:
    """Entries of whole groups in seeded order, until there are enough (a tenth to spare)."""
    files_by_group = _files_by_group()
    names = sorted(files_by_group)
    wanted = sizes.passages + sizes.passages // 10 + MAX_GROUP_PASSAGES
    entries: list[_Entry] = []
    for index in _generator(seed, "groups").permutation(len(names)):
        group = names[index]
        found = [entry for path, module in files_by_group[group]
                 for entry in _entries(path, module, group)]
        entries.extend(_sample(found, _generator(seed, "group", group)))
        if progress is not None:
            progress(min(len(entries), sizes.passages), sizes.passages)
        if len(entries) >= wanted:
            break
    return entries


def _generator(seed: int, *purpose: str) -> np.random.Generator:
    """A generator that depends on the seed and on what it is for, not on earlier draws."""
    digest = hashlib.sha256("\0".join(("documentation", str(seed), *purpose)).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32).tolist())


def _sample(entries: list[_Entry], rng: np.random.Generator) -> list[_Entry]:
    """At most `MAX_GROUP_PASSAGES` entries, so that no large module fills a split alone."""
    chosen = rng.permutation(len(entries))[:MAX_GROUP_PASSAGES]
    return [entries[index] for index in chosen]


def _files_by_group() -> dict[str, list[tuple[Path, str]]]:
    """The source files (path and dotted module name) of every group, in sorted order."""
    groups: dict[str, list[tuple[Path, str]]] = {}
    for package in PACKAGES:
        folder = _folder(package)
        if folder is None:
            continue
        for path in _source_files(folder):
            module = _module_name(path.relative_to(folder), package)
            parts = module.split(".")
            group = ".".join(parts[: package.depth])
            groups.setdefault(group, []).append((path, module))
    return groups


def _folder(package: _Package) -> Path | None:
    """The folder with a package's sources, or None if it is not installed."""
    if package.folder == STANDARD_LIBRARY:
        return Path(sysconfig.get_paths()["stdlib"])
    spec = importlib.util.find_spec(package.folder)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def _source_files(folder: Path) -> Iterator[Path]:
    """The .py files under a folder, sorted; without tests and vendored code."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.is_dir():
            if path.name not in _SKIPPED_FOLDERS and "." not in path.name and "-" not in path.name:
                yield from _source_files(path)
        elif path.suffix == ".py" and not _SKIPPED_FILE.match(path.stem):
            yield path


def _module_name(relative: Path, package: _Package) -> str:
    """The public-looking dotted name: private files count as their parent package's."""
    parts = [part for part in relative.with_suffix("").parts if part != "__init__"]
    if package.folder == STANDARD_LIBRARY:
        return ".".join(part.lstrip("_") for part in parts)
    public = [part for part in parts[:-1] if part != "_core"]
    public += [part for part in parts[-1:] if not part.startswith("_")]
    return ".".join([package.folder, *(part.lstrip("_") for part in public)])


def _entries(path: Path, module: str, group: str) -> Iterator[_Entry]:
    """The usable docstrings of one file; a file that does not parse has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for name, docstring in _docstrings(tree.body, module):
        split = _query_and_passage(docstring)
        if split is not None:
            yield _Entry(name, group, *split)


def _docstrings(body: Sequence[ast.stmt], prefix: str) -> Iterator[tuple[str, str]]:
    """Dotted name and docstring of the public classes, functions and methods, in file order."""
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_"):
            continue
        name = f"{prefix}.{node.name}"
        docstring = ast.get_docstring(node)
        if docstring:
            yield name, docstring
        if isinstance(node, ast.ClassDef):
            yield from _docstrings(node.body, name)


def _query_and_passage(docstring: str) -> tuple[str, str] | None:
    """The summary sentence and the rest of a docstring, or None if one is too thin to search."""
    text = _ROLE.sub("", docstring[: docstring_end.start()]
                     if (docstring_end := _DOCTEST.search(docstring)) else docstring)
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
    names, queries, passages = (
        Counter(key(entry) for entry in entries) for key in (_name, _query, _passage)
    )
    return [
        entry
        for entry in entries
        if names[_name(entry)] == queries[_query(entry)] == passages[_passage(entry)] == 1
    ]


def _name(entry: _Entry) -> str:
    return entry.name


def _query(entry: _Entry) -> str:
    return " ".join(re.findall(r"\w+", entry.query.lower()))


def _passage(entry: _Entry) -> str:
    return " ".join(re.findall(r"\w+", entry.passage.lower()))


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
    entries: Sequence[_Entry], split_by_name: dict[str, str], sizes: DocumentationSizes
) -> None:
    """Raises if there are fewer passages or queries than asked for."""
    wanted = sum(sizes.queries_by_split().values())
    if wanted > sizes.passages:
        raise ValueError(
            f"documentation: {wanted:,} queries need as many passages, but only "
            f"{sizes.passages:,} are asked for; raise `passages` or lower the queries"
        )
    if len(entries) < sizes.passages or len(split_by_name) < wanted:
        raise ValueError(
            f"documentation: the installed packages ({', '.join(documentation_sources())}) hold "
            f"{len(entries):,} usable docstrings, but {sizes.passages:,} passages and {wanted:,} "
            f"queries are asked for; lower the sizes"
        )


def _tables(corpus: Sequence[_Entry], split_by_name: dict[str, str | None]) -> Dataset:
    """The three tables; passages in the order of their names, queries in that of their ids."""
    passages = sorted(corpus, key=_name)
    asked = [(entry, split) for entry in passages if (split := split_by_name[entry.name])]
    names = [entry.name for entry, _ in asked]
    query_ids = [f"q:{name}" for name in names]
    splits = [split for _, split in asked]
    return Dataset(
        corpus=pa.table({
            "passage_id": pa.array([entry.name for entry in passages], pa.string()),
            "title": pa.array([""] * len(passages), pa.string()),
            "text": pa.array([entry.passage for entry in passages], pa.string()),
            "parent_id": pa.nulls(len(passages), pa.string()),
        }),
        queries=pa.table({
            "query_id": pa.array(query_ids, pa.string()),
            "text": pa.array([entry.query for entry, _ in asked], pa.string()),
            "split": pa.array(splits, pa.string()),
            "weight": pa.array([1.0] * len(asked), pa.float32()),
            "group_id": pa.array([entry.group for entry, _ in asked], pa.string()),
        }),
        qrels=pa.table({
            "query_id": pa.array(query_ids, pa.string()),
            "passage_id": pa.array(names, pa.string()),
            "grade": pa.array([1] * len(asked), pa.int32()),
            "split": pa.array(splits, pa.string()),
        }),
    )
