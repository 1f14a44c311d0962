"""A committed store of each format version is read, whole, and gives the same ids."""

import json
import shutil
from pathlib import Path

import pytest

from strop.artifacts import refs
from strop.artifacts.errors import StoreError
from strop.artifacts.inspection.query import query
from strop.artifacts.manifest import Manifest, Recipe
from strop.artifacts.runs import Run
from strop.artifacts.schemas import SCHEMA_VERSION
from strop.artifacts.store import Store
from strop.artifacts.verify import readable, verify
from tests.store_world import store_world

STORES = sorted((Path(__file__).parents[1] / "golden").iterdir())


@pytest.fixture(params=STORES, ids=lambda path: path.name)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A copy, since opening a store may write into it."""
    return Store(shutil.copytree(request.param, tmp_path / "store"))


def test_it_is_small() -> None:
    size = sum(path.stat().st_size for path in STORES[0].rglob("*") if path.is_file())
    assert size < 200_000


def test_an_older_store_is_whole(golden: Store) -> None:
    manifests, broken = readable(golden)
    assert broken == []
    assert len(manifests) == 29
    assert [item for _, found in verify(golden, manifests, deep=True) for item in found] == []


def test_recipes_give_the_ids_that_they_gave(golden: Store) -> None:
    for item in golden.artifacts():
        recipe = Recipe(item.kind, item.stage, item.recipe, item.parameters, item.inputs)
        assert recipe.id == item.id
        assert golden.lookup(recipe) == item


def test_everything_is_found_and_nothing_is_made_again(golden: Store) -> None:
    before = {item.id for item in golden.artifacts()}
    store_world(golden.root)
    assert {item.id for item in golden.artifacts()} == before


def test_runs_champions_and_tables_are_read(golden: Store) -> None:
    assert len(Run(golden, "tiny").parts()) == 4
    assert [move.value["name"] for move in refs.history(golden, "tiny")] == [
        "round 1 of tiny",
        "round 2 of tiny",
    ]
    with query(golden, "SELECT round, count(*) FROM negatives GROUP BY 1 ORDER BY 1") as answer:
        assert [row for batch in answer.batches for row in batch] == [(1, 2), (2, 2)]


def test_a_newer_schema_is_refused_naming_both_versions(golden: Store) -> None:
    path = next(golden.root.glob("objects/*/*/manifest.json"))
    values = json.loads(path.read_bytes())
    values["schema_version"] = SCHEMA_VERSION + 1
    values["something"] = "that only a newer strop knows"
    text = rf"schema version {SCHEMA_VERSION + 1} is newer than this strop reads \({SCHEMA_VERSION}"
    with pytest.raises(StoreError, match=rf"{path}: {text}\); update strop"):
        Manifest.from_bytes(json.dumps(values).encode(), source=str(path))
