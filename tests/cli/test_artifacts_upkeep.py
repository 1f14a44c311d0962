"""`strop artifacts verify`, `export`, `import` and `purge` on the command line."""

import subprocess

import pytest

from strop.artifacts import pins
from strop.artifacts.manifest import Recipe
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.cli.config_file import example_config
from tests.cli.test_bucket import refused


def ref(store, part, role):
    return Run(store, "tiny").parts()[part][role]


def test_verify_names_file_and_remedy(world, artifacts, told):
    assert "none damaged" in artifacts(world, "verify", "--deep").stdout
    scores = ref(world, "round-001", "scores")
    path = world.file(scores, "scores.parquet")
    path.write_bytes(b"0")
    (world.folder(ref(world, "prepare", "tokens")).parent / "manifest.json").write_text("{")
    done = artifacts(world, "verify", "--deep", code=1)
    assert f"scores {scores.id} (score): file scores.parquet has 1 bytes, expected" in done.stdout
    assert f"  {path}\n" in done.stdout
    again = f"delete {path.parent.parent}, then `strop run CONFIG`, CONFIG being that of run tiny"
    assert again in done.stdout
    found = told(world, "verify", code=1)
    assert found["artifacts"] == len(list(world.root.glob("objects/*/*/manifest.json")))
    assert any("not a manifest" in defect["problem"] for defect in found["defects"])
    assert told(world, "verify", scores.id, code=1)["artifacts"] == 1


def test_an_artifact_moves_between_stores(looked_at, artifacts, told, tmp_path):
    reranker = ref(looked_at, "round-002", "reranker").id
    text = artifacts(looked_at, "export", reranker, tmp_path / "out").stdout
    assert text.startswith(f"reranker {reranker} and ")
    other = Store(tmp_path / "other")
    found = told(other, "import", tmp_path / "out")
    assert (found["id"], found["present"]) == (reranker, 0)
    assert told(other, "import", tmp_path / "out")["new"] == 0
    assert told(other, "lineage", reranker)["missing"] == []


def test_a_folder_that_is_no_export_makes_no_store(tmp_path, monkeypatch, capsys):
    place = ("--store", str(tmp_path / "new"))
    line = refused(monkeypatch, capsys, "artifacts", "import", str(tmp_path), *place)
    assert "has no export.json" in line
    assert not (tmp_path / "new").exists()


def test_a_damaged_export_makes_no_store(looked_at, artifacts, tmp_path, monkeypatch, capsys):
    artifacts(looked_at, "export", ref(looked_at, "round-002", "reranker").id, tmp_path / "out")
    next((tmp_path / "out").glob("objects/dataset/*/*/corpus.parquet")).write_bytes(b"0")
    place = ("--store", str(tmp_path / "new"))
    line = refused(monkeypatch, capsys, "artifacts", "import", str(tmp_path / "out"), *place)
    assert "corpus.parquet has 1 bytes" in line
    assert not (tmp_path / "new").exists()


def test_purge_says_what_still_derives_from_the_passage(world, artifacts, told, monkeypatch):
    monkeypatch.setattr(pins, "pinned", lambda root: set())
    reranker = ref(world, "round-001", "reranker").id
    text = artifacts(world, "purge", "--passage", "p5").stdout
    assert "would be made again without it: dataset " in text
    assert f"still derives from it: reranker {reranker} saw it in its training" in text
    assert "Prefect's own database" in text
    assert "nothing was changed; --delete acts\n" in text
    assert len(world.table(ref(world, "prepare", "dataset"), "corpus")) == 6
    done = told(world, "purge", "--passage", "p5", "--delete")
    (dataset,) = done["datasets"]
    assert world.find(dataset["rewritten"][0]["as"]).kind == "dataset"
    assert "in its training" in artifacts(world, "show", reranker).stdout
    assert "none damaged" in artifacts(world, "verify", "--deep").stdout


@pytest.fixture
def backup(looked_at, tmp_path):
    """A store that is mounted read-only."""
    folder = tmp_path / "backup"
    folder.mkdir()
    bind = ["mount", "--bind", str(looked_at.root), str(folder)]
    try:
        subprocess.run(bind, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing may be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield Store(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_artifacts_of_a_read_only_store_are_found_and_used(backup):
    item = backup.artifacts("tokens")[0]
    recipe = Recipe(item.kind, item.stage, item.recipe, item.parameters, item.inputs)
    assert backup.lookup(recipe) == item
    assert backup.use(item.ref) == item
    assert backup.lookup(Recipe("tokens", "tokenize", 99, {}, {})) is None


def test_commands_that_write_end_in_one_line_on_a_read_only_store(
    backup, artifacts, monkeypatch, capsys, tmp_path
):
    dataset, place = backup.artifacts("dataset")[0].id, ("--store", str(backup.root))
    commands = [
        ("pin", dataset),
        ("gc", "--delete"),
        ("purge", "--passage", "p5", "--delete"),
    ]
    for command in commands:
        line = refused(monkeypatch, capsys, "artifacts", *command, *place)
        assert line.startswith(f"error: {backup.root}/")
        assert line.endswith(": Read-only file system; expected a place that can be written")
    (tmp_path / "strop.yaml").write_text(example_config())
    for command in (("deploy", str(tmp_path / "strop.yaml"), "--no-worker"), ("serve",)):
        line = refused(monkeypatch, capsys, *command, *place)
        assert line.startswith(f"error: store {backup.root}: cannot be written (Read-only file")
    for command in (("gc",), ("purge", "--passage", "p5")):
        artifacts(backup, *command)


@pytest.mark.parametrize("command", ["gc", "purge", "export", "import", "verify", "query", "diff"])
def test_every_command_explains_itself(looked_at, artifacts, command):
    assert "Usage" in artifacts(looked_at, command, "--help").stdout
