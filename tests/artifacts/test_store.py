"""Immutable artifacts under ids that are known before they are made."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from strop.artifacts import durable, slots
from strop.artifacts.backends.location import StorePath
from strop.artifacts.errors import Damaged, NotFound, StoreError
from strop.artifacts.manifest import FileEntry, Manifest, Recipe
from strop.artifacts.store import Store
from tests.artifacts.test_durable import in_threads

RECIPE = Recipe("scores", "score", 1, {"precision": "fp32"}, {})
SCORES = pa.table({"query_id": ["q1"], "passage_id": ["p1"], "score": [0.5]})

WRITER = """
import sys
from pathlib import Path
from strop.artifacts.manifest import Recipe
from strop.artifacts.store import Store

root, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
store = Store(Path(root))
with store.attempt(Recipe("scores", "score", 1, {"precision": "fp32"}, {})) as attempt:
    (attempt.folder / "a.txt").write_text(name)
    (attempt.folder / "b.txt").write_text(name)
    print(store.commit(attempt, summary={"by": name}).summary["by"])
"""


def commit_scores(store: Store, recipe: Recipe = RECIPE, table: pa.Table = SCORES) -> Manifest:
    with store.attempt(recipe) as attempt:
        attempt.write_table("scores", table)
        return store.commit(attempt, summary={"pairs": table.num_rows}, execution={"device": "cpu"})


def fail(store: Store, error: BaseException, *, commit: bool = False) -> None:
    with store.attempt(RECIPE) as attempt:
        attempt.write_table("scores", SCORES)
        if commit:
            store.commit(attempt, summary={})
        raise error


def home(store: Store, recipe: Recipe = RECIPE) -> Path:
    return store.root / "objects" / recipe.kind / recipe.id


def files_under(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_committed_attempt_is_found_and_read(store: Store) -> None:
    assert store.lookup(RECIPE) is None
    made = commit_scores(store)
    assert store.lookup(RECIPE) == made
    assert made.id == RECIPE.id
    assert made.files["scores.parquet"].rows == 1
    assert store.table(made.ref, "scores").to_pylist() == SCORES.to_pylist()
    assert store.table(made, "scores", columns=["score"]).to_pylist() == [{"score": 0.5}]
    assert files_under(home(store)) == ["manifest.json", "scores.parquet"]


def test_files_in_folders_are_part_of_the_artifact(store: Store) -> None:
    recipe = Recipe("reranker", "train", 1, {}, {})
    with store.attempt(recipe) as attempt:
        (attempt.folder / "model").mkdir()
        (attempt.folder / "model" / "config.json").write_text("{}")
        made = store.commit(attempt, summary={})
    # printf '{}' | sha256sum
    digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert made.files == {"model/config.json": FileEntry(digest, 2)}
    assert store.file(made, "model/config.json").read_text() == "{}"


def test_who_may_read_an_artifact_s_folder_may_read_its_files(store: Store) -> None:
    with store.attempt(RECIPE) as attempt:
        attempt.write_table("scores", SCORES)
        (attempt.folder / "model.safetensors").touch(0o600)  # as its library writes it
        attempt.folder.chmod(0o750)
        made = store.commit(attempt, summary={})
    for name in ("scores.parquet", "model.safetensors"):
        assert store.file(made, name).stat().st_mode & 0o777 == 0o640


def test_an_attempt_without_a_manifest_is_no_artifact(store: Store) -> None:
    with store.attempt(RECIPE) as attempt:
        attempt.write_table("scores", SCORES)
    assert files_under(attempt.folder) == ["scores.parquet"]
    assert store.lookup(RECIPE) is None
    assert store.artifacts() == []


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt(), SystemExit(1)])
def test_a_failing_stage_leaves_nothing_behind(store: Store, error: BaseException) -> None:
    with pytest.raises(type(error)):
        fail(store, error)
    assert not home(store).exists()
    assert commit_scores(store) == store.lookup(RECIPE)


def test_a_failing_stage_leaves_other_attempts_alone(store: Store) -> None:
    with store.attempt(RECIPE) as other:
        with pytest.raises(ValueError, match="wrong"), store.attempt(RECIPE):
            raise ValueError("wrong")
        other.write_table("scores", SCORES)
        made = store.commit(other, summary={})
    assert store.lookup(RECIPE) == made


def test_an_interrupt_after_the_commit_does_not_take_the_files(store: Store) -> None:
    """Ctrl-C between the commit and the end of the stage must not leave a manifest alone."""
    with pytest.raises(KeyboardInterrupt):
        fail(store, KeyboardInterrupt(), commit=True)
    assert store.table(store.lookup(RECIPE), "scores").num_rows == 1


def test_a_stage_that_wrote_no_files_is_refused(store: Store) -> None:
    with (
        pytest.raises(StoreError, match="stage 'score' wrote no files"),
        store.attempt(RECIPE) as attempt,
    ):
        store.commit(attempt, summary={"numbers": [1, 2]})
    assert not home(store).exists()


def test_an_unknown_kind_is_refused_with_the_choices(store: Store) -> None:
    with (
        pytest.raises(StoreError, match=r"kind 'scorse': unknown; the kinds are dataset, "),
        store.attempt(replace(RECIPE, kind="scorse")),
    ):
        pass
    assert not (store.root / "objects").exists()


def test_equal_bits_made_again_leave_descendants_as_they_are(store: Store) -> None:
    made = commit_scores(store)
    child = Recipe("selection", "mine", 1, {}, {"scores": made.ref})
    durable.remove_tree(home(store))
    again = commit_scores(store)
    assert again.ref == made.ref
    assert Recipe("selection", "mine", 1, {}, {"scores": again.ref}).id == child.id


def test_other_bits_made_again_give_descendants_new_ids(store: Store) -> None:
    made = commit_scores(store)
    child = Recipe("selection", "mine", 1, {}, {"scores": made.ref})
    durable.remove_tree(home(store))
    other = SCORES.set_column(2, "score", [[np.nextafter(np.float32(0.5), np.float32(1))]])
    again = commit_scores(store, table=other)
    assert again.id == made.id
    assert Recipe("selection", "mine", 1, {}, {"scores": again.ref}).id != child.id
    with pytest.raises(Damaged, match="was made again with other content; run again"):
        store.manifest(made.ref)


def test_threads_racing_on_one_id_leave_one_manifest_and_unmixed_files(store: Store) -> None:
    returned = []

    def write(number: int) -> None:
        with store.attempt(RECIPE) as attempt:
            for name in ("a.txt", "b.txt"):
                (attempt.folder / name).write_text(str(number))
            returned.append(store.commit(attempt, summary={"by": number}))

    in_threads(6, write)
    made = store.lookup(RECIPE)
    assert returned == [made] * 6
    assert files_under(home(store)) == ["a.txt", "b.txt", "manifest.json"]
    texts = {store.file(made, name).read_text() for name in ("a.txt", "b.txt")}
    assert texts == {str(made.summary["by"])}


def test_processes_racing_on_one_id_in_a_new_store(tmp_path: Path) -> None:
    root = tmp_path / "store"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("ada", "bob")
    ]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 2
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    printed = [writer.communicate(timeout=60)[0].strip() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    store = Store(root)
    made = store.lookup(RECIPE)
    assert printed == [made.summary["by"]] * 2
    assert files_under(home(store)) == ["a.txt", "b.txt", "manifest.json"]
    assert store.file(made, "a.txt").read_text() == store.file(made, "b.txt").read_text()


def test_many_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    failures = []

    def open_store(root: Path) -> None:
        try:
            store = Store(root)
            commit_scores(store)
        except StoreError as error:
            failures.append(error)

    for number in range(10):
        root = tmp_path / str(number)
        in_threads(6, lambda _, root=root: open_store(root))
    assert failures == []


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "has 0 bytes"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\0"), r"has \d+ bytes"),
    ],
)
def test_a_damaged_file_is_named_with_the_way_out(store: Store, damage, found: str) -> None:
    made = commit_scores(store)
    damage(store.place_of(made, "scores.parquet"))
    line = rf"^scores {made.id}: file scores\.parquet {found}, expected \d+ bytes; "
    with pytest.raises(Damaged, match=line + rf"delete {home(store)} and run again$"):
        store.lookup(RECIPE)
    durable.remove_tree(home(store))  # the way out
    assert store.lookup(RECIPE) is None
    assert commit_scores(store).digest == made.digest


def test_a_damaged_manifest_is_named(store: Store) -> None:
    commit_scores(store)
    (home(store) / "manifest.json").write_bytes(b"{")
    for read in (lambda: store.lookup(RECIPE), store.artifacts):
        with pytest.raises(Damaged, match=rf"{home(store)}/manifest\.json: not a manifest"):
            read()


@pytest.mark.parametrize("name", ["../manifest.json", "a/../../manifest.json", "/etc/passwd"])
def test_a_file_name_that_leaves_the_artifact_is_refused(store: Store, name: str) -> None:
    made = commit_scores(store)
    with pytest.raises(Damaged, match="leaves the artifact's folder"):
        store.file(made, name)
    path = home(store) / "manifest.json"
    path.write_text(path.read_text().replace('"scores.parquet"', json.dumps(name)))
    with pytest.raises(Damaged, match="leaves the artifact's folder"):
        store.lookup(RECIPE)


@pytest.mark.parametrize("attempt", ["..", "../other", "/etc", "", "."])
def test_an_attempt_name_that_leaves_the_artifact_is_refused(store: Store, attempt: str) -> None:
    made = replace(commit_scores(store), attempt=attempt)
    with pytest.raises(Damaged, match="leaves the artifact's folder"):
        store.folder(made)


def test_what_is_hidden_once_it_was_claimed_can_be_used(
    store: Store, make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who hides it reads the pins next, and brings it back."""
    made, claim = make("scores"), slots.claim

    def hidden_next(home: StorePath) -> bytes | None:
        data = claim(home)
        assert slots.hide(home)
        return data

    monkeypatch.setattr(slots, "claim", hidden_next)
    assert store.use(made.ref) == made


def test_artifacts_are_found_by_the_start_of_their_id(store: Store) -> None:
    made = [commit_scores(store, replace(RECIPE, recipe=number)) for number in range(20)]
    assert store.find(made[3].id) == made[3]
    assert store.artifacts("scores") == store.artifacts()
    assert len(store.artifacts("scores")) == 20
    assert store.artifacts("ranking") == []
    shared = {item.id[0] for item in made if [o.id[0] for o in made].count(item.id[0]) > 1}.pop()
    with pytest.raises(NotFound, match=r"matches scores .*give more digits"):
        store.find(shared)
    more = [commit_scores(store, replace(RECIPE, recipe=number)) for number in range(20, 99)]
    matching = [item for item in [*made, *more] if item.id.startswith(shared)]
    with pytest.raises(NotFound, match=f" and {len(matching) - 4} more; give more digits"):
        store.find(shared)
    for prefix in ("", "xyz"):
        with pytest.raises(NotFound, match="strop artifacts ls"):
            store.find(prefix)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    with pytest.raises(StoreError, match="a file, expected a folder; choose another path"):
        Store(path)
    with pytest.raises(StoreError, match=r"cannot be written .*choose another path"):
        Store(path / "below")


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match="a folder with other files in it") as caught:
        Store(tmp_path)
    assert "\n" not in str(caught.value)
    assert files_under(tmp_path) == ["thesis.tex"]


def test_a_newer_format_asks_for_an_update(tmp_path: Path) -> None:
    Store(tmp_path)
    (tmp_path / "store.json").write_text('{"strop_store": 2}')
    with pytest.raises(StoreError, match="format 2, this strop reads format 1; update strop"):
        Store(tmp_path)


@pytest.mark.parametrize("mark", ["", "[]", "{}"])
def test_a_mark_that_says_nothing_is_damage(tmp_path: Path, mark: str) -> None:
    (tmp_path / "store.json").write_text(mark)
    with pytest.raises(Damaged, match="not the mark of a strop store"):
        Store(tmp_path)


def test_an_empty_folder_and_an_old_store_are_opened(tmp_path: Path) -> None:
    commit_scores(Store(tmp_path))
    assert Store(tmp_path).lookup(RECIPE) is not None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match=r"cannot be written \(Permission denied"):
        Store(tmp_path / "store")


def test_a_full_disk_surfaces_and_the_store_stays_usable(small_disk: Path) -> None:
    store = Store(small_disk / "store")
    before = commit_scores(store, replace(RECIPE, recipe=0))
    noise = np.random.default_rng(0).integers(0, 1 << 62, 200_000).astype(str)
    big = pa.table({"query_id": noise, "passage_id": noise, "score": np.zeros(200_000)})
    with pytest.raises(OSError, match="No space left") as caught:
        commit_scores(store, table=big)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(store.root), "no place was said by what wrote the table"
    assert not home(store).exists()
    assert store.artifacts() == [before]
    made = commit_scores(store)
    assert store.table(made, "scores").num_rows == 1
