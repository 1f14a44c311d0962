"""What people write after --store."""

from pathlib import Path

import pytest

from strop.artifacts.backends.location import store_path
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


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(StoreError, match=r"ftp://….*s3://, gs://, az://"):
        store_path("ftp://host/a")


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
