"""What people write after --store."""

import os
import shutil
from pathlib import Path

import pytest

from strop.artifacts.backends.location import in_order, matching, store_path
from strop.artifacts.errors import StoreError
from strop.artifacts.store import Store


def test_folders_and_buckets_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert store_path("store") == tmp_path / "store"
    assert store_path(Path("a:b")) == tmp_path / "a:b"
    for text in ("s3://bucket/a/b", "gs://bucket", "az://container/a"):
        assert str(store_path(text)) == text
    assert str(store_path("S3://bucket/a/")) == "s3://bucket/a"
    assert str(store_path(Path("s3://bucket/a"))) == "s3://bucket/a"


@pytest.mark.parametrize(
    "text",
    [
        "s3://",
        "s3:///prefix",
        "s3://bucket/a\n",
        "s3://key:secret@bucket/a",
        "s3://bucket/a?secret=1",
        "s3://bucket/../a",
        "s3://bucket/a//b",
        "s3://bucket/a\0b",
        "s3://bucket/é",
        "s3://-/a",
    ],
)
def test_an_address_of_another_shape_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(StoreError, match="expected s3://bucket/prefix") as caught:
        store_path(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["ftp://host/a", "file:///a", "FILE:/a"])
def test_an_unknown_scheme_names_the_known_ones(text: str) -> None:
    """None of them is a folder of that name here."""
    scheme = text.partition(":")[0].lower()
    with pytest.raises(StoreError, match=rf"{scheme}://….*s3://, gs://, az://"):
        store_path(text)


def test_a_prefix_with_other_objects_is_left_alone(bucket: str) -> None:
    store = Store(f"{bucket}/a")
    (store.root / "b" / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match="a prefix with other objects in it"):
        Store(f"{bucket}/a/b")
    assert [path.name for path in (store.root / "b").iterdir()] == ["thesis.tex"]


def test_a_newer_format_asks_for_an_update(bucket: str) -> None:
    Store(bucket).root.joinpath("store.json").write_text('{"strop_store": 2}')
    with pytest.raises(StoreError, match="format 2, this strop reads format 1; update strop"):
        Store(bucket)


def test_a_pattern_is_matched_part_by_part(tmp_path: Path) -> None:
    for name in ("a/1.json", "a/.2.json.tmp", "b/3.json", "b/parts/4.json", "5.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    assert in_order(tmp_path, "*/*.json") == [tmp_path / "a" / "1.json", tmp_path / "b" / "3.json"]
    assert in_order(tmp_path, "*/parts/*.json") == [tmp_path / "b" / "parts" / "4.json"]
    assert in_order(tmp_path, "a/.*.tmp") == [tmp_path / "a" / ".2.json.tmp"]
    assert in_order(tmp_path, "*/3.json") == [tmp_path / "b" / "3.json"]
    assert in_order(tmp_path / "nowhere", "*") == []


def test_folders_that_others_remove_meanwhile_are_left_out(tmp_path: Path) -> None:
    """A process that ends takes its pins away, a stage that fails its attempt."""
    for name in "abc":
        (tmp_path / name / "scores").mkdir(parents=True)
    found = matching(tmp_path, "*/*")
    first = next(found)
    for name in "abc":
        shutil.rmtree(tmp_path / name)
    assert first.name == "scores"
    assert list(found) == []


def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "runs" / "closed"
    closed.mkdir(parents=True)
    (closed / "config.json").touch()
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # others may not enter the folders above
    closed.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(PermissionError, match="closed"):
            in_order(Path("runs"), "*/*.json")
    finally:
        if root:
            os.seteuid(0)
        closed.chmod(0o755)
