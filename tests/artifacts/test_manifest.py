"""Ids over the content of inputs, and the record that makes an artifact."""

import json
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.artifacts.canonical import canonical_bytes, digest, folder_digest
from strop.artifacts.errors import Damaged, StoreError
from strop.artifacts.manifest import ArtifactRef, FileEntry, Manifest, Recipe
from strop.artifacts.schemas import SCHEMA_VERSION

POOL = ArtifactRef("candidates", "c" * 16, "digest of the pool")
RECIPE = Recipe("scores", "score", 1, {"max_length": 128, "precision": "fp32"}, {"pool": POOL})

keys = st.text(string.ascii_lowercase, min_size=1, max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


def manifest(**changes: Any) -> Manifest:
    made = Manifest(
        id=RECIPE.id,
        key=RECIPE.key,
        kind="scores",
        stage="score",
        schema_version=SCHEMA_VERSION,
        recipe=1,
        attempt="20260101T000000-00000000",
        parameters=RECIPE.parameters,
        execution={"device": "cpu"},
        inputs=RECIPE.inputs,
        files={"b.bin": FileEntry("bb", 2), "a.parquet": FileEntry("aa", 40, rows=7)},
        summary={"pairs": 7},
        seconds=0.5,
        created="2026-01-01T00:00:00+00:00",
        versions={"python": "3.11.7"},
        device="cpu (x86_64)",
    )
    return replace(made, **changes)


def changed(key: str, value: Any) -> bytes:
    return json.dumps({**json.loads(manifest().to_bytes()), key: value}).encode()


def test_the_same_recipe_has_the_same_id() -> None:
    parameters = {"precision": "fp32", "max_length": 128}  # written in another order
    again = Recipe("scores", "score", 1, parameters, {"pool": replace(POOL)})
    assert again.id == RECIPE.id
    assert len(RECIPE.id) == 16
    assert RECIPE.key.startswith(RECIPE.id)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "selection"},
        {"stage": "rescore"},
        {"recipe": 2},
        {"parameters": {"max_length": 129, "precision": "fp32"}},
        {"parameters": {"max_length": 128}},
        {"inputs": {"pool": replace(POOL, digest="another digest")}},
        {"inputs": {"candidates": POOL}},
        {"inputs": {}},
    ],
)
def test_what_decides_the_bits_changes_the_id(change: dict[str, Any]) -> None:
    assert replace(RECIPE, **change).id != RECIPE.id


def test_the_id_follows_the_content_of_an_input_not_its_id() -> None:
    same_content = {"pool": replace(POOL, id="d" * 16)}
    assert replace(RECIPE, inputs=same_content).id == RECIPE.id


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(keys, values, max_size=4),
    st.dictionaries(keys, values, max_size=4),
)
def test_two_recipes_share_an_id_only_when_their_parameters_are_equal(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second = replace(RECIPE, parameters=one), replace(RECIPE, parameters=other)
    assert (first.id == second.id) == (canonical_bytes(one) == canonical_bytes(other))


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(keys, values, max_size=4))
def test_a_digest_survives_a_trip_through_a_file_and_another_order(value: dict[str, Any]) -> None:
    reversed_keys = dict(reversed(json.loads(json.dumps(value)).items()))
    assert digest(reversed_keys) == digest(value)


def test_nan_has_no_digest() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"margin": float("nan")})


def test_canonical_bytes_can_be_written_down_by_hand() -> None:
    assert canonical_bytes({"b": [1, 2.5], "a": "ü"}) == '{"a":"ü","b":[1,2.5]}'.encode()
    # printf '[["a.txt","1"],["b.txt","2"]]' | sha256sum
    expected = "fff94614b3be3fee"
    assert folder_digest({"b.txt": "2", "a.txt": "1"}).startswith(expected)


def test_a_folder_digest_sees_names_and_contents() -> None:
    digests = [
        folder_digest({"a": "1", "b": "2"}),
        folder_digest({"a": "2", "b": "1"}),
        folder_digest({"a": "1", "c": "2"}),
        folder_digest({"a": "1"}),
    ]
    assert len(set(digests)) == 4


def test_a_manifest_comes_back_as_it_was_written() -> None:
    made = manifest()
    read = Manifest.from_bytes(made.to_bytes(), source="manifest.json")
    assert read == made
    content = folder_digest({"a.parquet": "aa", "b.bin": "bb"})
    assert read.ref == ArtifactRef("scores", RECIPE.id, content)
    assert read.size == 42


def test_the_content_digest_ignores_when_and_where_it_was_made() -> None:
    elsewhere = manifest(created="2027-01-01", device="H200", execution={}, seconds=9, attempt="b")
    assert elsewhere.digest == manifest().digest
    assert manifest(files={"a.parquet": FileEntry("other", 40)}).digest != manifest().digest


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"schema_version": "one"}',
        b'{"schema_version": null}',
        b'{"schema_version": 1}',
        b'{"schema_version": 1, "inputs": {}, "files": {"a": {"sha": 1}}}',
        manifest().to_bytes()[:-40],
        *(
            changed(key, value)
            for key, value in {
                "created": "yesterday",
                "seconds": "long",
                "kind": None,
                "summary": [],
                "inputs": {"dataset": {"kind": "dataset", "id": 7, "digest": "ab"}},
                "files": {"a.parquet": {"sha256": "aa", "bytes": "40", "rows": None}},
            }.items()
        ),
        changed("created", "2026-01-01T00:00:00"),
    ],
)
def test_what_is_no_manifest_is_damage_that_names_the_file(data: bytes) -> None:
    with pytest.raises(Damaged, match=r"^objects/x/manifest\.json: not a manifest .*run again$"):
        Manifest.from_bytes(data, source="objects/x/manifest.json")


def test_a_manifest_of_a_newer_strop_asks_for_an_update() -> None:
    newer = manifest(schema_version=SCHEMA_VERSION + 1).to_bytes()
    with pytest.raises(StoreError, match=r"newer than this strop reads .*; update strop") as caught:
        Manifest.from_bytes(newer, source="manifest.json")
    assert not isinstance(caught.value, Damaged)
