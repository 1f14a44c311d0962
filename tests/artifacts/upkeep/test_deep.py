"""Defects that checksums do not show, and what the command line says of them."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from strop.artifacts.canonical import file_digest
from strop.artifacts.manifest import Manifest
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.artifacts.upkeep.remedy import remedy
from strop.artifacts.verify import readable, verify
from tests.store_world import store_world


@pytest.fixture
def world(tmp_path: Path) -> Store:
    return store_world(tmp_path / "store")


def problems(store: Store, kind: str) -> list[str]:
    manifests, broken = readable(store)
    found = [item for _, defects in verify(store, manifests, deep=True) for item in defects]
    return [item.problem for item in [*broken, *found] if item.kind == kind]


def scores(store: Store) -> Manifest:
    return store.find(Run(store, "tiny").parts()["round-001"]["scores"].id)


def rewritten(store: Store, table: pa.Table) -> list[str]:
    """Problems after the table was replaced, and the manifest's checksum with it."""
    item = scores(store)
    path = store.file(item, "scores.parquet")
    pq.write_table(table, path)
    manifest = store.folder(item).parent / "manifest.json"
    values = json.loads(manifest.read_bytes())
    entry = values["files"]["scores.parquet"]
    entry.update(sha256=file_digest(path), bytes=path.stat().st_size)
    manifest.write_text(json.dumps(values))
    return problems(store, "scores")


def test_a_whole_store_has_no_defects(world: Store) -> None:
    manifests, broken = readable(world)
    assert broken == []
    assert [item for _, found in verify(world, manifests, deep=True) for item in found] == []


def test_rows_and_columns_are_held_against_manifest_and_schema(world: Store) -> None:
    table = world.table(scores(world), "scores")
    assert rewritten(world, table.slice(1)) == [
        "file scores.parquet has 11 rows, its footer says 11, the manifest 12"
    ]
    assert rewritten(world, table.drop_columns(["score"])) == [
        "file scores.parquet has no column 'score'"
    ]
    assert rewritten(world, table.set_column(2, "score", table["score"])) == [
        "file scores.parquet: column 'score' is float, expected float not null"
    ]
    wide = table.set_column(2, "score", table["score"].cast(pa.float64()))
    assert rewritten(world, wide.append_column("more", table["score"])) == [
        "file scores.parquet: column 'score' is double, expected float not null",
        "file scores.parquet has a column 'more' that is not declared",
    ]


def test_a_torn_table_is_named_once(world: Store) -> None:
    path = world.file(scores(world), "scores.parquet")
    path.write_bytes(path.read_bytes()[:-4] + b"XXXX")
    assert problems(world, "scores") == [
        "file scores.parquet has other content than when it was made"
    ]


def test_a_table_without_a_footer_is_named_though_its_checksum_holds(world: Store) -> None:
    item = scores(world)
    path = world.file(item, "scores.parquet")
    path.write_bytes(b"PAR1 no footer")
    manifest = world.folder(item).parent / "manifest.json"
    values = json.loads(manifest.read_bytes())
    values["files"]["scores.parquet"].update(sha256=file_digest(path), bytes=14)
    manifest.write_text(json.dumps(values))
    assert problems(world, "scores")[0].startswith(
        "file scores.parquet is not a readable Parquet file"
    )


def test_a_parameter_that_was_changed_shows_in_the_id(world: Store) -> None:
    item = scores(world)
    manifest = world.folder(item).parent / "manifest.json"
    values = json.loads(manifest.read_bytes())
    values["parameters"]["precision"] = "fp16"
    manifest.write_text(json.dumps(values))
    (problem,) = problems(world, "scores")
    assert problem.startswith(f"the manifest's key is {item.key[:12]}…, its recipe gives ")


def test_an_unreadable_manifest_and_a_moved_folder_are_defects_not_errors(world: Store) -> None:
    item = scores(world)
    home = world.folder(item).parent
    home.rename(home.with_name("f" * 16))
    assert f"the manifest speaks of scores {item.id}" in problems(world, "scores")
    (home.with_name("f" * 16) / "manifest.json").write_text("{")
    assert any("not a manifest" in problem for problem in problems(world, "scores"))


def test_a_file_that_nobody_listed_is_named(world: Store) -> None:
    (world.folder(scores(world)) / "more.txt").touch()
    assert problems(world, "scores") == ["file more.txt is not in the manifest"]


def test_a_remedy_names_command_and_run() -> None:
    from strop.artifacts.inspection.membership import Membership

    member = [Membership("tiny", "round-002", 2, "changes")]
    assert remedy("compare selections", member) == "`strop mine tiny --round 2`"
    assert remedy("score", member) == "`strop run CONFIG`, CONFIG being that of run tiny"
    assert remedy("report", [Membership("tiny", "assess", None, "report")]).startswith(
        "`strop assess CONFIG`"
    )
    assert remedy("import beir", []) == "`strop import beir DIR`"
