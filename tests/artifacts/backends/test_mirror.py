"""Local copies of a bucket's files: verified, bounded, and not needed by who made them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.s3 import CREDENTIALS, Plan, Servers
from strop.artifacts import pins, refs
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.errors import Damaged
from strop.artifacts.inspection.catalog import read_catalog
from strop.artifacts.manifest import Manifest, Recipe
from strop.artifacts.runs import Run
from strop.artifacts.store import Store

KILOBYTES = 40


def commit(store: Store, number: int, size: int = 1000 * KILOBYTES) -> Manifest:
    with store.attempt(Recipe("scores", "score", 1, {"number": number}, {})) as attempt:
        (attempt.folder / "model").mkdir()
        (attempt.folder / "model" / "a.txt").write_bytes(b"%d" % (number % 10) * size)
        return store.commit(attempt, summary={})


@pytest.fixture
def elsewhere(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The same store on another host, which has copies of nothing yet."""
    Store(bucket)
    monkeypatch.setenv("STROP_CACHE", str(tmp_path / "another cache"))
    return Store(bucket)


def copies(store: Store) -> list[str]:
    paths = (store.local / "objects").rglob("*")
    return sorted(path.name for path in paths if path.is_file())


def test_who_made_it_needs_no_download(proxied: str, s3: Servers) -> None:
    store = Store(proxied)
    s3.plan(Plan())
    made = commit(store, 1)
    assert store.folder(made).joinpath("model/a.txt").stat().st_size == 1000 * KILOBYTES
    assert not [
        line for line in s3.plan()["requests"] if line.startswith("GET") and "a.txt" in line
    ]


def test_another_host_gets_a_verified_copy_once(
    bucket: str, elsewhere: Store, s3: Servers, tmp_path: Path
) -> None:
    made = commit(Store(bucket), 1)
    path = elsewhere.file(made.ref, "model/a.txt")
    assert path.is_relative_to(tmp_path / "another cache")
    assert path.read_bytes() == b"1" * 1000 * KILOBYTES
    elsewhere.place_of(made, "model/a.txt").unlink()
    assert elsewhere.folder(made) == path.parent.parent  # no second download


def test_what_is_not_what_the_manifest_says_is_never_served(bucket: str, elsewhere: Store) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STROP_CACHE", str(elsewhere.local.parent.with_name("first")))
        made = commit(Store(bucket), 1)
    place = elsewhere.place_of(made, "model/a.txt")
    assert isinstance(place, ObjectPath)
    place.write_bytes(b"2" * 1000 * KILOBYTES)
    for _ in range(2):
        with pytest.raises(Damaged, match=r"model/a.txt has other content than when it was made"):
            elsewhere.file(made, "model/a.txt")
    place.unlink()
    with pytest.raises(Damaged, match=r"file model/a.txt is missing"):
        elsewhere.file(made, "model/a.txt")
    assert copies(elsewhere) == []


def test_a_copy_that_was_cut_short_is_fetched_again(bucket: str) -> None:
    store = Store(bucket)
    made = commit(store, 1)
    path = store.file(made, "model/a.txt")
    path.write_bytes(b"1")
    assert store.file(made, "model/a.txt").stat().st_size == 1000 * KILOBYTES


def test_copies_stay_below_the_bound_and_those_used_last_stay(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_CACHE_GB", "0.0001")  # 100 kB
    monkeypatch.setattr(pins, "pinned", lambda root: set())  # by processes that have ended
    store = Store(bucket)
    first, second, third = (commit(store, number) for number in (1, 2, 3))
    os.utime(store.local / "objects" / "scores" / second.id / second.attempt, (1, 1))
    store.forget_copies(third)
    store.file(third, "model/a.txt")
    there = {path.name for path in (store.local / "objects" / "scores").iterdir()}
    assert there == {first.id, third.id}
    assert store.file(second, "model/a.txt").exists()  # again from the bucket


def test_what_a_living_process_uses_is_not_evicted(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [commit(Store(bucket), number) for number in (1, 2, 3)]
    code = (
        "import sys; from strop.artifacts.store import Store\n"
        "store = Store(sys.argv[1]); item = store.find(sys.argv[2])\n"
        "store.file(item, 'model/a.txt'); print('used', flush=True); input()"
    )
    command = [sys.executable, "-c", code, bucket, made[0].id]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "used\n"
        monkeypatch.setenv("STROP_CACHE_GB", "0.00001")
        store = Store(bucket)
        for item in made:
            store.let_go(item)
        store.forget_copies(made[2])
        store.file(made[2], "model/a.txt")
        there = {path.name for path in (store.local / "objects" / "scores").iterdir()}
        assert there == {made[0].id, made[2].id}
        process.send_signal(signal.SIGKILL)
    store.let_go(made[2])
    store.forget_copies(made[2])
    Store(bucket).file(made[2], "model/a.txt")
    there = {path.name for path in (store.local / "objects" / "scores").iterdir()}
    assert there == {made[2].id}


def test_a_failing_stage_leaves_nothing_in_the_bucket_nor_here(bucket: str) -> None:
    store = Store(bucket)
    recipe = Recipe("scores", "score", 1, {}, {})
    work = store.work_folder(recipe)
    (work / "checkpoint").write_text("half")
    with pytest.raises(ZeroDivisionError), store.attempt(recipe) as attempt:
        (attempt.folder / "a.txt").write_text(str(1 / 0))
    assert copies(store) == []
    assert not store.home("scores", recipe.id).exists()
    assert (work / "checkpoint").read_text() == "half"  # for the next attempt on this host
    with store.attempt(recipe) as attempt:
        (attempt.folder / "a.txt").write_text("whole")
        store.commit(attempt, summary={})
    assert not work.exists()


def test_no_credential_is_in_the_store_nor_beside_it(bucket: str) -> None:
    store = Store(bucket)
    made, run = commit(store, 1, 10), Run(store, "tiny")
    run.claim({"rounds": 2})
    with run.lease() as lease:
        run.record(lease, "prepare", {"scores": made.ref})
        refs.move(store, refs.read(store, "tiny"), {"n": 1})
    read_catalog(store)
    assert isinstance(store.root, ObjectPath)
    texts = [path.read_bytes() for path, _ in store.root.files()]
    texts += [path.read_bytes() for path in store.local.rglob("*") if path.is_file()]
    assert len(texts) > 10
    for secret in CREDENTIALS.values():
        assert not any(secret.encode() in text for text in texts)
