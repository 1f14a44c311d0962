"""Up to what an artifact was made from, down to what was made from it."""

import pytest

from strop.artifacts.inspection.lineage import ancestors, children
from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store


@pytest.fixture
def diamond(make) -> dict[str, Manifest]:
    """dataset → embeddings → candidates → scores, and scores reads the dataset too."""
    dataset = make("dataset")
    embeddings = make("embeddings", dataset=dataset)
    candidates = make("candidates", vectors=embeddings, dataset=dataset)
    scores = make("scores", pool=candidates, dataset=dataset)
    return {item.kind: item for item in (dataset, embeddings, candidates, scores)}


def test_ancestors_come_once_each_with_depth_and_role(
    store: Store, diamond: dict[str, Manifest]
) -> None:
    found = [(depth, role, item.kind) for depth, role, item in ancestors(store, diamond["scores"])]
    assert sorted(found) == sorted(set(found))
    assert {(role, kind) for _, role, kind in found} == {
        ("pool", "candidates"),
        ("vectors", "embeddings"),
        ("dataset", "dataset"),
    }
    depths = {kind: depth for depth, _, kind in found}
    assert depths["candidates"] == 1
    assert depths["embeddings"] == 2


def test_a_root_has_no_ancestors_and_a_leaf_no_children(
    store: Store, diamond: dict[str, Manifest]
) -> None:
    assert ancestors(store, diamond["dataset"]) == []
    assert children(store, diamond["scores"]) == []


def test_children_are_those_that_read_it(store: Store, diamond: dict[str, Manifest]) -> None:
    kinds = [item.kind for item in children(store, diamond["dataset"])]
    assert sorted(kinds) == ["candidates", "embeddings", "scores"]
    assert [item.kind for item in children(store, diamond["embeddings"])] == ["candidates"]


def test_the_child_of_another_data_set_is_not_ours(store: Store, make) -> None:
    ours, other = make("dataset", number=1), make("dataset", number=2)
    assert ours.digest == other.digest  # the same files under another id
    child = make("embeddings", dataset=other)
    assert children(store, ours) == []
    assert [item.ref for item in children(store, other)] == [child.ref]


def test_an_ancestor_that_was_deleted_is_left_out(
    store: Store, diamond: dict[str, Manifest]
) -> None:
    (store.place(diamond["embeddings"]).parent / "manifest.json").unlink()
    kinds = [item.kind for _, _, item in ancestors(store, diamond["scores"])]
    assert sorted(kinds) == ["candidates", "dataset"]
