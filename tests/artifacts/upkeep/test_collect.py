"""Garbage collection deletes garbage, and nothing that anybody speaks of or uses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from strop.artifacts import durable, pins, refs, slots
from strop.artifacts.backends.location import StorePath, in_order
from strop.artifacts.errors import Busy, Damaged
from strop.artifacts.manifest import Manifest, Recipe
from strop.artifacts.runs import Run
from strop.artifacts.store import MARKED, Store
from strop.artifacts.upkeep import collect as collecting
from strop.artifacts.upkeep.collect import collect
from strop.artifacts.upkeep.plan import Plan, Policy, make_plan
from strop.artifacts.upkeep.roots import roots
from strop.artifacts.verify import verify
from tests.artifacts.conftest import own_process_ids
from tests.store_world import store_world

NOW = Policy(keep_days=0, grace_seconds=0)


@pytest.fixture
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the process that made everything had ended."""
    monkeypatch.setattr(pins, "pinned", lambda root: set())


def whole(store: Store) -> bool:
    return not any(defects for _, defects in verify(store, store.artifacts()))


def ids(plan: Plan) -> set[str]:
    return {item.id for item in plan.artifacts}


def use(store: Store, item: Manifest) -> Manifest | None:
    recipe = Recipe(item.kind, item.stage, item.recipe, item.parameters, item.inputs)
    return store.lookup(recipe)


def no_wait(seconds: float) -> None:
    assert seconds == 0


@pytest.mark.usefixtures("unpinned")
def test_what_runs_and_champions_speak_of_stays_with_all_it_was_made_from(tmp_path: Path) -> None:
    store = store_world(tmp_path / "store")
    before = {item.id for item in store.artifacts()}
    assert ids(collect(store, NOW)) == set()
    assert {item.id for item in store.artifacts()} == before
    assert whole(store)


@pytest.mark.usefixtures("unpinned")
def test_the_dry_run_says_what_goes_and_deletes_nothing(store: Store, make) -> None:
    pool = make("candidates")
    scores = make("scores", pool=pool)
    plan = make_plan(store, NOW)
    assert ids(plan) == {pool.id, scores.id}
    assert plan.size == 8
    assert len(store.artifacts()) == 2
    assert ids(collect(store, NOW)) == {pool.id, scores.id}
    assert store.artifacts() == []
    assert not list((store.root / "objects").glob("*/*/*/*"))


@pytest.mark.usefixtures("unpinned")
def test_policies_keep_the_young_the_newest_and_what_people_brought(store: Store, make) -> None:
    made = [make("scores", number=number) for number in range(3)]
    dataset = make("dataset")
    assert ids(make_plan(store, Policy(keep_days=1))) == set()
    kept = make_plan(store, Policy(keep_days=0, keep_last=2)).artifacts
    assert len(kept) == 1
    assert kept[0] in made
    assert dataset.id not in ids(make_plan(store, NOW))
    assert dataset.id in ids(make_plan(store, Policy(keep_days=0, imports=True)))


@pytest.mark.usefixtures("unpinned")
def test_a_pin_keeps_an_artifact_and_its_ancestors_until_it_is_taken_off(
    store: Store, make
) -> None:
    pool = make("candidates")
    scores, other = make("scores", pool=pool), make("scores", number=9)
    pins.keep(store.root, scores.kind, scores.id, "for the paper")
    assert pins.kept(store.root) == {("scores", scores.id): "for the paper"}
    assert ids(collect(store, NOW)) == {other.id}
    assert pins.let_go(store.root, scores.kind, scores.id)
    assert not pins.let_go(store.root, scores.kind, scores.id)
    assert ids(collect(store, NOW)) == {scores.id, pool.id}


def test_every_old_champion_and_record_of_a_run_is_a_root(tmp_path: Path) -> None:
    store = store_world(tmp_path / "store")
    moves = refs.history(store, "tiny")
    parts = Run(store, "tiny").parts()
    found = set(roots(store))
    assert {("reranker", move.value["reranker"]["id"]) for move in moves} <= found
    assert {("decision", move.value["decision"]) for move in moves} <= found
    assert {(ref.kind, ref.id) for made in parts.values() for ref in made.values()} <= found


def test_ids_in_a_run_s_config_are_roots(store: Store) -> None:
    Run(store, "a").claim({"dataset": "dataset abc", "mining": {"verdicts": "def"}})
    assert {("dataset", "abc"), ("verdicts", "def")} <= set(roots(store))


@pytest.mark.usefixtures("unpinned")
def test_a_forgotten_run_takes_along_what_only_it_used(tmp_path: Path) -> None:
    store = store_world(tmp_path / "store")
    policy = Policy(keep_days=0, grace_seconds=0, without_runs=frozenset({"tiny"}))
    gone = {item.kind for item in collect(store, policy).artifacts}
    assert "report" in gone
    assert "reranker" not in gone  # they are, or descend to, champions
    assert not Run(store, "tiny").folder.exists()
    assert whole(store)


@pytest.mark.usefixtures("unpinned")
def test_a_run_that_is_worked_on_is_not_forgotten(tmp_path: Path) -> None:
    store = store_world(tmp_path / "store")
    before = store.artifacts()
    policy = Policy(keep_days=0, grace_seconds=0, without_runs=frozenset({"tiny"}))
    with Run(store, "tiny").lease(), pytest.raises(Busy, match="run tiny"):
        collect(store, policy)
    assert store.artifacts() == before


def test_what_this_process_made_or_looked_up_stays(store: Store, make) -> None:
    pool = make("candidates")
    make("scores", pool=pool)
    assert ids(collect(store, NOW)) == set()


def test_the_pins_of_a_killed_process_count_no_more(store: Store) -> None:
    code = (
        "import os, sys, signal; from strop.artifacts import pins\n"
        "from strop.artifacts.backends.location import store_path\n"
        "pins.pin(store_path(sys.argv[1]), 'scores', 'abc'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(store.root)], check=False)
    assert len(list((store.root / "pins").iterdir())) == 1
    assert pins.pinned(store.root) == set()
    pins.forget_dead(store.root)
    assert list((store.root / "pins").iterdir()) == []


@pytest.mark.parametrize("container", [False, True])
def test_the_pins_of_a_process_go_with_it_and_count_while_it_lives(
    store: Store, container: bool
) -> None:
    code = (
        "import sys; from strop.artifacts import pins\n"
        "from strop.artifacts.backends.location import store_path\n"
        "pins.pin(store_path(sys.argv[1]), 'scores', 'abc'); print('pinned', flush=True); input()"
    )
    within = own_process_ids() if container else []
    with subprocess.Popen(
        [*within, sys.executable, "-c", code, str(store.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "pinned\n"
        assert pins.pinned(store.root) == {("scores", "abc")}
        process.communicate("\n", timeout=20)
    assert list((store.root / "pins").iterdir()) == []


@pytest.mark.parametrize("location", ["folder"], indirect=True)
@pytest.mark.usefixtures("unpinned")
def test_leftovers_of_dead_attempts_go(store: Store, make) -> None:
    kept = make("scores")
    home = store.place(kept).parent
    dead = [home / "20200101T000000-dead", store.root / "objects" / "ranking" / "f" / "attempt"]
    work = store.root / "work" / "scores" / kept.key
    stray = store.root / "refs" / "tiny" / ".1.json.abc.tmp"
    for folder in (*dead, work):
        folder.mkdir(parents=True)
        (folder / "half.parquet").write_bytes(b"PAR1")
    stray.parent.mkdir(parents=True)
    stray.touch()
    os.utime(stray, (1, 1))
    young = Policy(keep_days=1, grace_seconds=30)
    assert set(make_plan(store, young).leftovers) == {stray}
    found = collect(store, Policy(keep_days=1, grace_seconds=0))
    assert set(found.leftovers) == {*dead, work, stray}
    assert not any(path.exists() for path in (*dead, work, stray))
    assert whole(store)
    assert store.place(kept).exists()
    assert not dead[1].parent.exists()


def test_the_attempt_of_a_live_process_is_left_alone(store: Store) -> None:
    recipe = Recipe("scores", "score", 1, {}, {})
    with store.attempt(recipe) as attempt:
        (attempt.folder / "text.txt").write_text("half")
        assert collect(store, NOW).leftovers == []
        made = store.commit(attempt, summary={})
    assert store.lookup(recipe) == made
    assert whole(store)


@pytest.mark.usefixtures("unpinned")
def test_a_lookup_during_the_wait_unmarks(store: Store, make) -> None:
    pool = make("candidates")
    scores, other = make("scores", pool=pool), make("scores", number=9)

    def look(seconds: float) -> None:
        assert (store.place(scores).parent / MARKED).exists()
        assert use(store, scores) == scores

    assert ids(collect(store, NOW, wait=look)) == {other.id}
    assert whole(store)
    assert not list(store.root.glob(f"objects/*/*/{MARKED}"))


@pytest.mark.usefixtures("unpinned")
def test_a_child_that_is_made_during_the_wait_keeps_its_ancestors(store: Store, make) -> None:
    pool = make("candidates")
    policy = Policy(keep_days=1e-3, grace_seconds=0)
    path = store.place(pool).parent / "manifest.json"
    path.write_text(path.read_text().replace(pool.created, "2020-01-01T00:00:00+00:00"))
    gone = collect(store, policy, wait=lambda _: make("scores", pool=pool))
    assert ids(gone) == set()
    assert len(store.artifacts()) == 2


def test_a_lookup_between_hiding_and_reading_the_pins_is_seen(
    store: Store, make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make("candidates")
    scores = make("scores", pool=pool)
    used: set[tuple[str, str]] = set()
    monkeypatch.setattr(pins, "pinned", lambda root: used)
    hide = slots.hide

    def hide_then_use(home: Path) -> bool:
        if home.name == scores.id:
            used.add((scores.kind, scores.id))  # a lookup pins first …
        return hide(home)  # … and may have read the manifest just before

    monkeypatch.setattr(slots, "hide", hide_then_use)
    assert ids(collect(store, NOW)) == set()
    assert use(store, scores) == scores
    assert whole(store)


@pytest.mark.usefixtures("unpinned")
def test_a_lookup_that_is_faster_than_the_claim_saves_the_ancestors_too(
    store: Store, make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make("candidates")
    scores, other = make("scores", pool=pool), make("scores", number=9)
    spared = collecting._spared

    def look_after(opened: Store, policy: Policy, hidden: list[Manifest]) -> list[Manifest]:
        found = spared(opened, policy, hidden)
        assert slots.read(store.place(scores).parent) is None
        assert use(store, scores) == scores
        return found

    monkeypatch.setattr(collecting, "_spared", look_after)
    assert ids(collect(store, NOW)) == {other.id}
    assert use(store, pool) == pool
    assert whole(store)


@pytest.mark.usefixtures("unpinned")
def test_what_a_killed_collection_did_not_hide_has_its_inputs(
    store: Store, make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make("candidates")
    scores = make("scores", pool=pool)
    hide, hidden = slots.hide, []

    def hide_one(home: StorePath) -> bool:
        if hidden:
            raise KeyboardInterrupt
        hidden.append(home.name)
        return hide(home)

    monkeypatch.setattr(slots, "hide", hide_one)
    with pytest.raises(KeyboardInterrupt):
        collect(store, NOW)
    assert hidden == [scores.id]
    assert whole(store)


@pytest.mark.usefixtures("unpinned")
def test_what_a_killed_collection_hid_is_an_artifact_again(store: Store, make) -> None:
    looked, listed = make("scores", number=1), make("scores", number=2)
    for item in (looked, listed):
        assert slots.hide(store.place(item).parent)
    assert use(store, looked) == looked
    collect(store, Policy(keep_days=1, grace_seconds=0))
    assert {item.id for item in store.artifacts()} == {looked.id, listed.id}


@pytest.mark.usefixtures("unpinned")
def test_nothing_is_deleted_while_a_record_or_manifest_cannot_be_read(store: Store, make) -> None:
    first, second = make("scores", number=1), make("scores", number=2)
    path = store.place(first).parent / "manifest.json"
    text = path.read_text()
    path.write_text("{")
    with pytest.raises(Damaged, match="not a manifest"):
        collect(store, NOW)
    path.write_text(text)
    part = store.root / "runs" / "a" / "parts" / "prepare.json"
    part.parent.mkdir(parents=True)
    part.write_text("{")
    with pytest.raises(Damaged, match="nothing was deleted"):
        collect(store, NOW)
    assert {item.id for item in store.artifacts()} == {first.id, second.id}


@pytest.mark.parametrize("location", ["folder"], indirect=True)
def test_records_and_pins_that_are_taken_back_while_they_are_read_keep_nothing(
    store: Store, make, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = make("candidates")
    pins.keep(store.root, item.kind, item.id, "why")
    run = Run(store, "tiny")
    run.claim({"dataset": item.id})
    folders = (store.root / "runs", store.root / "pins" / pins.KEPT)
    listed = {folder: in_order(folder, "*/*") for folder in folders}
    pins.let_go(store.root, item.kind, item.id)
    with run.lease() as lease:
        run.withdraw(lease)
    for place in ("pins", "upkeep.roots"):
        stale = f"strop.artifacts.{place}.in_order"
        monkeypatch.setattr(stale, lambda folder, pattern: listed.get(folder, []))
    assert pins.kept(store.root) == {}
    assert ("dataset", item.id) not in roots(store)


def test_two_collections_at_once_are_refused(store: Store) -> None:
    def second(seconds: float) -> None:
        collect(store, NOW)

    with pytest.raises(Busy, match="gc of"):
        collect(store, NOW, wait=second)


@pytest.mark.usefixtures("unpinned")
def test_a_store_can_be_used_and_collected_again(store: Store, make) -> None:
    for _ in range(2):
        make("scores", pool=make("candidates"))
        assert len(collect(store, NOW).artifacts) == 2
    assert {path.name for path in (store.root / "gc").iterdir()} == {"lease"}
    durable.remove_tree(store.root / "gc")
    assert collect(store, NOW, wait=no_wait).artifacts == []
