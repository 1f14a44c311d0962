"""The catalogue says what the manifests say, whatever is written in it."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from strop.artifacts import durable
from strop.artifacts.errors import Damaged
from strop.artifacts.inspection.catalog import Entry, read_catalog, refuse_damaged
from strop.artifacts.store import Store

COUNT, CALLS = 2_000, 30
"""Artifacts, and the calls of functions that listing each may cost."""


def index(store: Store) -> Path:
    return store.local / "index" / "catalog.json"


def told(store: Store) -> list[Entry]:
    return read_catalog(store).entries


def test_the_catalogue_is_what_the_manifests_say(store: Store, make) -> None:
    make("scores", "text", pool=make("candidates"))
    expected = [Entry.of(manifest) for manifest in store.artifacts()]
    assert told(store) == expected
    assert told(store) == expected  # now from the catalogue
    assert expected[1].size == 4
    assert expected[1].inputs["pool"] == expected[0].ref


def test_new_and_deleted_artifacts_are_seen_at_once(store: Store, make) -> None:
    first = make("candidates", number=1)
    assert len(told(store)) == 1
    second = make("candidates", number=2)
    assert {entry.id for entry in told(store)} == {first.id, second.id}
    durable.remove_tree(store.place(first).parent)
    assert [entry.id for entry in told(store)] == [second.id]


def test_an_artifact_that_was_made_again_is_read_again(store: Store, make) -> None:
    first = make("candidates", "one")
    assert told(store)[0].digest == first.digest
    durable.remove_tree(store.place(first).parent)
    again = make("candidates", "two")
    assert again.id == first.id
    assert told(store)[0].digest == again.digest != first.digest


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"version": 1}', '{"version": 1, "entries": {"a/b": [[1], {}]}}', "\0"],
)
def test_a_broken_catalogue_is_built_anew(store: Store, make, text: str) -> None:
    make("candidates")
    expected = told(store)
    index(store).write_text(text)
    assert told(store) == expected
    assert json.loads(index(store).read_bytes())["entries"]


def test_an_older_catalogue_is_built_anew(store: Store, make) -> None:
    make("candidates")
    expected = told(store)
    values = json.loads(index(store).read_bytes())
    values["version"] = 0
    for row in values["entries"].values():
        row[1]["stage"] = "what an older version wrote"
    index(store).write_text(json.dumps(values))
    assert told(store) == expected


def test_a_store_that_cannot_be_written_is_listed(store: Store, make) -> None:
    make("candidates")
    (store.local / "index").write_text("a file where the folder would be")
    assert len(told(store)) == 1


def test_a_damaged_manifest_is_named_and_the_others_are_listed(store: Store, make) -> None:
    whole, broken = make("candidates"), make("scores")
    path = store.place(broken).parent / "manifest.json"
    path.write_text("{")
    catalog = read_catalog(store)
    assert [entry.id for entry in catalog.entries] == [whole.id]
    assert list(catalog.damaged) == [path]
    with pytest.raises(Damaged, match=f"{path}: not a manifest"):
        refuse_damaged(catalog)


@pytest.mark.parametrize("location", ["folder"], indirect=True)
def test_many_artifacts_are_listed_from_the_catalogue_with_few_calls_each(
    store: Store, make
) -> None:
    one = make("scores", pool=make("candidates"))
    for number in range(COUNT):
        folder = store.root / "objects" / "scores" / f"{number:016x}"
        folder.mkdir()
        text = replace(one, id=folder.name).to_bytes()
        (folder / "manifest.json").write_bytes(text)
    assert len(told(store)) == COUNT + 2
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        assert len(told(store)) == COUNT + 2
    finally:
        sys.setprofile(None)
    assert calls < CALLS * COUNT, f"{calls / COUNT:.0f} calls an artifact"
