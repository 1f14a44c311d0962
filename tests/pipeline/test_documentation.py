"""The demo's data: docstrings read right, splits by module, the same bits for the same seed."""

import ast
from pathlib import Path

import pytest

from strop.artifacts.schemas import CORPUS, QRELS, QUERIES
from strop.pipeline.data import documentation, python_sources
from strop.pipeline.data.dataset import Dataset
from strop.pipeline.data.documentation import DocumentationSizes, documentation_dataset
from strop.pipeline.data.python_sources import documentation_sources
from strop.pipeline.errors import InputError

SIZES = DocumentationSizes(passages=200, train=80, dev=20, gate=20, test=40)

DOCSTRING = """Compute the :func:`mean` of *all* given values. Works on any axis.

The values are summed in double precision and divided by their number; an empty
input has no mean, and is refused with an error.

Parameters
----------
values : array_like
    What to average.

Examples
--------
>>> mean([1, 3])
2.0
"""


@pytest.fixture(autouse=True)
def _few_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_sources, "PACKAGES", ("numpy", "networkx"))


@pytest.fixture
def dataset() -> Dataset:
    return documentation_dataset(seed=0, sizes=SIZES)


def test_summary_sentence_is_the_query_and_the_rest_the_passage() -> None:
    split = documentation._query_and_passage(DOCSTRING)
    assert split is not None
    query, passage = split
    assert query == "Compute the mean of all given values"
    assert passage.startswith("Works on any axis. The values are summed in double precision")
    assert passage.endswith("Parameters values : array_like What to average. Examples")


def test_passage_is_cut_at_its_number_of_words() -> None:
    split = documentation._query_and_passage("Say one word again and again.\n\n" + "word " * 500)
    assert split == ("Say one word again and again", " ".join(["word"] * 50))


@pytest.mark.parametrize(
    "docstring",
    [
        "Return the result.\n\n" + "word " * 40,
        "Compute the mean of all values.",
        "Compute the mean of all values.\n\n>>> mean([1, 3])\n" + "2.0 " * 40,
        "Compute the mean of all values.\n\nParameters\n----------\nvalues : " + "word " * 40,
    ],
    ids=["trivial query", "summary only", "doctest only", "parameters only"],
)
def test_thin_docstrings_are_left_out(docstring: str) -> None:
    assert documentation._query_and_passage(docstring) is None


def test_private_names_are_left_out_and_methods_are_dotted() -> None:
    tree = ast.parse(
        "class Tree:\n  'A tree.'\n  def grow(self): 'Grow.'\n  def _cut(self): 'Cut.'\n"
        "def _hidden(): 'Hidden.'\n"
    )
    found = list(documentation._docstrings(tree.body, "wood"))
    assert found == [("wood.Tree", "A tree."), ("wood.Tree.grow", "Grow.")]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("stats/_stats_py.py", "scipy.stats"),
        ("stats/qmc.py", "scipy.stats.qmc"),
        ("__init__.py", "scipy"),
    ],
)
def test_private_files_count_as_their_package(path: str, name: str) -> None:
    assert python_sources._module_name(Path(path), "scipy") == name


def test_sharers_of_a_query_or_a_passage_are_dropped_on_both_sides() -> None:
    entries = [
        documentation._Entry("a", "m", "Sort the list", "one"),
        documentation._Entry("b", "m", "sort the  list!", "two"),
        documentation._Entry("c", "m", "Shuffle it", "three"),
        documentation._Entry("d", "m", "Reverse it", "Three."),
        documentation._Entry("e", "m", "Copy it", "four"),
    ]
    assert [entry.name for entry in documentation._distinct(entries)] == ["e"]


def test_tables_have_the_declared_schemas_and_sizes(dataset: Dataset) -> None:
    assert dataset.corpus.schema == CORPUS
    assert dataset.queries.schema == QUERIES
    assert dataset.qrels.schema == QRELS
    assert dataset.corpus.num_rows == SIZES.passages
    splits = dataset.queries["split"].to_pylist()
    assert {split: splits.count(split) for split in splits} == SIZES.queries_by_split()


def test_every_query_has_its_own_passage_of_the_corpus(dataset: Dataset) -> None:
    passage_ids = dataset.corpus["passage_id"].to_pylist()
    assert len(set(passage_ids)) == len(passage_ids)
    assert dataset.qrels["query_id"].to_pylist() == dataset.queries["query_id"].to_pylist()
    assert set(dataset.qrels["passage_id"].to_pylist()) <= set(passage_ids)


def test_no_module_is_in_two_splits(dataset: Dataset) -> None:
    groups = dataset.queries["group_id"].to_pylist()
    pairs = set(zip(groups, dataset.queries["split"].to_pylist(), strict=True))
    assert len(pairs) == len(set(groups))


def test_the_seed_decides(dataset: Dataset) -> None:
    again = documentation_dataset(seed=0, sizes=SIZES)
    other = documentation_dataset(seed=1, sizes=SIZES)
    assert again == dataset
    assert other.corpus != dataset.corpus


def test_all_passages_may_be_asked_for() -> None:
    sizes = DocumentationSizes(passages=40, train=10, dev=10, gate=10, test=10)
    dataset = documentation_dataset(seed=3, sizes=sizes)
    assert dataset.queries.num_rows == dataset.corpus.num_rows == 40


def test_sources_name_python_and_installed_packages() -> None:
    sources = documentation_sources()
    assert set(sources) == {"python", "numpy", "networkx"}


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (DocumentationSizes(passages=10), "need as many passages"),
        (DocumentationSizes(passages=1_000_000), "usable docstrings"),
    ],
)
def test_impossible_sizes_are_refused(sizes: DocumentationSizes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        documentation_dataset(seed=0, sizes=sizes)


def test_progress_ends_at_its_total() -> None:
    class Counts:
        total, done = 0, 0

        def start(self, total: int, unit: str) -> None:
            self.total = total

        def advance(self, count: int) -> None:
            self.done += count

    counts = Counts()
    sizes = DocumentationSizes(passages=190, train=80, dev=20, gate=20, test=40)
    documentation_dataset(seed=0, sizes=sizes, progress=counts)
    assert counts.done == counts.total > 0
