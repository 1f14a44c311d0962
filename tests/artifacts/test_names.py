"""Nothing from outside leaves the store: ids, kinds, runs, files, links."""

import json
import os
from pathlib import Path

import pytest

from strop.artifacts.errors import Damaged, StoreError
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.names import check_twins, leaves
from strop.artifacts.refs import check_name
from strop.artifacts.runs import Run
from strop.artifacts.store import Store

OUTSIDE = [
    "../x",
    "..",
    ".",
    "",
    "/etc",
    "a/../../b",
    "a\0b",
    "a\nb",
    "C:\\x",
    "..\\x",
    "\\\\host\\x",
]
FOLDED = ["É", "ﬁ", "Ａ", "e\u0301", "a.b", "a b", "x" * 65, "\u202ex", "ı"]


@pytest.mark.parametrize("location", ["folder"], indirect=True)
@pytest.mark.parametrize("name", [*OUTSIDE, *FOLDED])
def test_kinds_ids_and_runs_are_plain(store: Store, name: str) -> None:
    for ref in (ArtifactRef(name, "a" * 16, ""), ArtifactRef("scores", name, "")):
        with pytest.raises(StoreError, match="expected at most 64 letters"):
            store.manifest(ref)
        with pytest.raises(StoreError, match="expected at most 64 letters"):
            store.use(ref)
    if name != "a.b":
        with pytest.raises(StoreError, match=r"expected lower-case|nothing else|run "):
            Run(store, name)
    assert {path.name for path in store.root.parent.iterdir()} == {"store"}
    assert {path.name for path in store.root.iterdir()} <= {"store.json"}


@pytest.mark.parametrize("name", ["Tiny", "TINY"])
def test_runs_that_differ_in_case_alone_cannot_be(name: str) -> None:
    with pytest.raises(StoreError, match="expected lower-case letters"):
        check_name(name, "run")


@pytest.mark.parametrize("name", [*OUTSIDE, "a//b", "./a", "a/./b", "a/"])
def test_file_names_that_lead_out_are_known(name: str) -> None:
    assert leaves(name)


@pytest.mark.parametrize("name", ["a.parquet", "model/config.json", "..a", "a..b", "ü.txt"])
def test_plain_file_names_are_allowed(name: str) -> None:
    assert not leaves(name)


@pytest.mark.parametrize("location", ["folder"], indirect=True)
@pytest.mark.parametrize("depth", ["file", "folder", "attempt", "id", "kind"])
def test_links_are_not_followed(store: Store, make, tmp_path: Path, depth: str) -> None:
    made = make("scores")
    path = store.folder(made) / "text.txt"
    place = {
        "file": path,
        "folder": path.parent / "model",
        "attempt": path.parent,
        "id": path.parent.parent,
        "kind": path.parent.parent.parent,
    }[depth]
    secret = tmp_path / "outside"
    if depth == "folder":
        secret.mkdir()
        (secret / "x").write_text("secret")
        name = "model/x"
    else:
        os.rename(place, secret)  # noqa: PTH104
        name = "text.txt"
    place.symlink_to(secret)
    with pytest.raises(Damaged, match="behind a link"):
        store.file(made, name)


@pytest.mark.parametrize(
    ("first", "second"),
    [("A.txt", "a.txt"), ("é.txt", "e\u0301.txt"), ("ß", "ss"), ("É", "e\u0301")],
)
def test_twins_are_refused(first: str, second: str) -> None:
    with pytest.raises(Damaged, match="one file on systems"):
        check_twins([first, "other", second], "export")
    check_twins([first, "other"], "export")


def test_a_manifest_that_names_a_file_outside_is_not_followed(store: Store, make) -> None:
    made = make("scores")
    path = store.place(made).parent / "manifest.json"
    values = json.loads(path.read_bytes())
    values["files"]["../../../../../secret"] = values["files"].pop("text.txt")
    path.write_text(json.dumps(values))
    changed = store.artifacts()[0]
    with pytest.raises(Damaged, match="leaves the artifact's folder"):
        store.file(changed, "../../../../../secret")
