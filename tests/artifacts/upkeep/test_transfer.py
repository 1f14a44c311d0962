"""An artifact with its ancestors between stores: all of it, verified, or nothing."""

import json
import shutil
from pathlib import Path

import pytest

from strop.artifacts import durable, pins
from strop.artifacts.errors import Conflict, Damaged, NotFound, StoreError
from strop.artifacts.manifest import Manifest
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.artifacts.upkeep.transfer import Imported, export, take_in, verified
from strop.artifacts.verify import readable, verify
from tests.store_world import store_world


@pytest.fixture
def world(roomy_location: str) -> Store:
    return store_world(roomy_location)


@pytest.fixture
def exported(world: Store, tmp_path: Path) -> Path:
    export(world, reranker(world), tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def other(roomy_location: str) -> Store:
    return Store(f"{roomy_location}-other")


def import_folder(store: Store, folder: Path) -> Imported:
    return take_in(store, verified(folder))


def reranker(store: Store) -> Manifest:
    return store.manifest(Run(store, "tiny").parts()["round-001"]["reranker"])


def bits(store: Store) -> dict[str, tuple[str, str]]:
    return {item.id: (item.digest, item.created) for item in store.artifacts()}


def test_an_artifact_arrives_with_all_its_ancestors_and_provenance(
    world: Store, exported: Path, other: Store
) -> None:
    found = import_folder(other, exported)
    assert found.artifact.ref == reranker(world).ref
    kinds = {item.kind for item in other.artifacts()}
    assert {"dataset", "candidates", "negatives", "tokens", "reranker"} <= kinds
    assert "report" not in kinds
    assert bits(other).items() <= bits(world).items()
    assert found.new == len(other.artifacts())
    again = import_folder(other, exported)
    assert (again.new, again.present) == (0, found.new)
    assert not any(defects for _, defects in verify(other, other.artifacts(), deep=True))
    assert list(pins.kept(other.root)) == [("reranker", found.artifact.id)]


def test_an_export_is_a_store_that_can_be_looked_at(exported: Path) -> None:
    assert len(readable(Store(exported))[0]) > 5
    assert {path.name for path in exported.iterdir()} == {"store.json", "objects", "export.json"}


@pytest.mark.parametrize("damage", ["flip", "gone", "ancestor", "link", "label", "parameters"])
def test_a_damaged_export_is_refused_whole(
    exported: Path, other: Store, tmp_path: Path, damage: str
) -> None:
    path = next(exported.glob("objects/scores/*/*/scores.parquet"))
    manifest = path.parent.parent / "manifest.json"
    if damage == "flip":
        data = bytearray(path.read_bytes())
        data[10] ^= 1
        path.write_bytes(data)
    elif damage == "gone":
        path.unlink()
    elif damage == "ancestor":
        shutil.rmtree(next(exported.glob("objects/dataset/*")))
    elif damage == "link":
        shutil.move(path, tmp_path / "outside")
        path.symlink_to(tmp_path / "outside")
    elif damage == "label":
        (exported / "export.json").write_text(json.dumps({"kind": "report", "id": "f" * 16}))
    else:
        manifest.write_text(manifest.read_text().replace('"recipe": 1', '"recipe": 2'))
    with pytest.raises(Damaged, match=r"nothing was imported|export it again"):
        import_folder(other, exported)
    assert other.artifacts() == []


def test_other_content_under_the_same_id_is_a_conflict(exported: Path, other: Store) -> None:
    import_folder(other, exported)
    item = next(item for item in other.artifacts() if item.kind == "scores")
    path = other.place(item).parent / "manifest.json"
    path.write_text(path.read_text().replace(item.files["scores.parquet"].sha256, "0" * 64))
    with pytest.raises(Conflict, match="has it with other content; nothing was imported"):
        import_folder(other, exported)


def test_twins_in_an_export_are_refused(exported: Path, other: Store) -> None:
    base = next(exported.glob("objects/reranker/*/*/model.safetensors")).parent
    path = base.parent / "manifest.json"
    values = json.loads(path.read_bytes())
    shutil.copy(base / "config.json", base / "CONFIG.json")
    values["files"]["CONFIG.json"] = values["files"]["config.json"]
    path.write_text(json.dumps(values))
    with pytest.raises(Damaged, match="one file on systems"):
        import_folder(other, exported)
    assert other.artifacts() == []


def test_what_cannot_be_exported_leaves_nothing(world: Store, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").touch()
    with pytest.raises(StoreError, match="choose a new or an empty folder"):
        export(world, reranker(world), tmp_path / "taken")
    item = next(item for item in world.artifacts() if item.kind == "scores")
    world.place_of(item, "scores.parquet").write_bytes(b"0")
    world.forget_copies(item)
    with pytest.raises(Damaged, match=f"scores {item.id}: scores.parquet (is not what|has other)"):
        export(world, reranker(world), tmp_path / "out")
    world.place_of(item, "scores.parquet").unlink()
    world.forget_copies(item)
    with pytest.raises(Damaged, match=f"scores.*{item.id}.*scores.parquet.* is missing"):
        export(world, reranker(world), tmp_path / "out")
    durable.remove_tree(world.place(item).parent)
    with pytest.raises(NotFound, match=f"scores {item.id}"):
        export(world, reranker(world), tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} - {"cache"} <= {"store", "taken"}


def test_a_name_that_leaves_an_artifact_makes_no_folder_elsewhere(
    world: Store, tmp_path: Path
) -> None:
    path = world.place(reranker(world)).parent / "manifest.json"
    values = json.loads(path.read_bytes())
    values["files"]["../../../../../elsewhere/x"] = values["files"]["config.json"]
    path.write_bytes(json.dumps(values).encode())
    with pytest.raises(Damaged, match="leaves the artifact's folder"):
        export(world, world.find(values["id"]), tmp_path / "out")
    assert not list(tmp_path.rglob("elsewhere"))


def test_a_folder_that_is_no_export_is_refused(other: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"has no export\.json"):
        import_folder(other, tmp_path)
