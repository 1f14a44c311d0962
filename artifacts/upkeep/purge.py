"""Erasing a passage: what holds its text is made again without it, or goes."""

import json
import shutil
from typing import Any

import pyarrow.compute as pc

from strop.artifacts import durable, pins, slots
from strop.artifacts.backends.location import StorePath, matching
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.canonical import digest
from strop.artifacts.errors import Busy
from strop.artifacts.leases import Lease
from strop.artifacts.manifest import ArtifactRef, Manifest, Recipe, timestamp
from strop.artifacts.notes import add_note
from strop.artifacts.schemas import TABLES
from strop.artifacts.store import Attempt, Store
from strop.artifacts.tables import iterate_batches, write_batches
from strop.artifacts.tombstones import TOMBSTONE
from strop.artifacts.upkeep.purge_plan import PurgePlan, purge_plans

COLUMNS = {
    ("dataset", "corpus"): "passage_id",
    ("dataset", "documents"): "passage_id",
    ("dataset", "qrels"): "passage_id",
    ("dataset", "pool"): "passage_id",
    ("dataset", "teacher_scores"): "passage_id",
    ("tokens", "passages"): "id",
}
"""The tables that lose rows, and the column that names the passage."""
OPTIONAL = ("documents", "pool", "teacher_scores")
"""Tables that a data set has only where they have rows."""
Replaced = dict[str, ArtifactRef]
"""The new ref by the id of what it replaces."""


def purge(store: Store, passage_id: str) -> list[tuple[PurgePlan, Replaced]]:
    """Erase a passage: every data set's plan, carried out; one that was killed is finished so.

    New artifacts are committed first, then every old one becomes a tombstone and its files go,
    the data set last: as long as that is there, the passage can be found again. Raises `Busy`
    when a running process uses what has to go, and `NotFound` where no data set has the passage.
    """
    with Lease(store.root / "gc" / "lease", what=f"gc of {store.location}"):
        _finish_begun(store)
        plans = purge_plans(store, passage_id)
        for plan in plans:
            _refuse_in_use(store, plan)
        return [(plan, _carry_out(store, plan)) for plan in plans]


def _carry_out(store: Store, plan: PurgePlan) -> Replaced:
    replaced: Replaced = {}
    gone = _gone(store, plan)
    for item in plan.rewritten:
        replaced[item.id] = _without(store, plan, item, replaced, gone).ref
    for key, how in plan.trained.items():
        note = {"purged passage": _named(plan.passage_id), "seen": how}
        add_note(store, _ref(store, key), note)
    _refuse_in_use(store, plan)  # a run may have begun while the rest was copied
    for item in _old(plan):
        _bury(store, plan, item, replaced.get(item.id))
    return replaced


def _old(plan: PurgePlan) -> list[Manifest]:
    """What has to go, the data set last."""
    return [*plan.erased, *reversed(plan.rewritten)]


def _refuse_in_use(store: Store, plan: PurgePlan) -> None:
    in_use = pins.pinned(store.root)
    for item in _old(plan):
        if (item.kind, item.id) in in_use:
            said = pins.user_of(store.root, item.kind, item.id)
            raise Busy(f"{item.kind} {item.id}: {said or 'a process used it just now; try again'}")


def _gone(store: Store, plan: PurgePlan) -> list[str]:
    """The ids that go: the passage's, and its document's where no other passage is cut from it."""
    if "documents.parquet" not in plan.dataset.files:
        return [plan.passage_id]
    table = store.table(plan.dataset, "documents")
    own = pc.equal(table["passage_id"], plan.passage_id)
    documents = table.filter(own)["document_id"]
    others = table.filter(pc.invert(own))["document_id"]
    alone = documents.filter(pc.invert(pc.is_in(documents, value_set=others)))
    return [plan.passage_id, *alone.to_pylist()]


def _named(passage_id: str) -> str:
    """How records name the passage: its id may be personal too."""
    return f"sha256 {digest(passage_id)[:16]}"


def _ref(store: Store, key: tuple[str, str]) -> ArtifactRef:
    return next(item.ref for item in store.artifacts(key[0]) if item.id == key[1])


def _without(
    store: Store, plan: PurgePlan, item: Manifest, replaced: Replaced, gone: list[str]
) -> Manifest:
    """The artifact without the passage: tokens under the id that their stage would give them."""
    inputs = {role: replaced.get(ref.id, ref) for role, ref in item.inputs.items()}
    recipe = Recipe(item.kind, item.stage, item.recipe, item.parameters, inputs)
    if not item.inputs:
        parameters = {"from": item.key, "without": digest(plan.passage_id)}
        recipe = Recipe(item.kind, "purge", 1, parameters, {})
    found = store.lookup(recipe)
    if found is not None:
        return found
    with store.attempt(recipe) as attempt:
        counts = {name: _copy(store, gone, item, attempt, name) for name in item.files}
        return store.commit(attempt, summary=_summary(item, counts, gone))


def _copy(store: Store, gone: list[str], item: Manifest, attempt: Attempt, name: str) -> int:
    """Copy one file, a table without rows of the ids that go; returns how many rows it has."""
    source, target = store.file(item, name), attempt.folder / name
    table = name.removesuffix(".parquet")
    column = COLUMNS.get((item.kind, table))
    if column is None:
        shutil.copyfile(source, target)
        return item.files[name].rows or 0
    kept = ~pc.field(column).isin(gone)
    rest = (batch.filter(kept) for batch in iterate_batches(source))
    rows = write_batches(target, rest, TABLES[item.kind][table])
    if not rows and table in OPTIONAL:
        target.unlink()
    return rows


def _summary(item: Manifest, rows: dict[str, int], gone: list[str]) -> dict[str, Any]:
    """The old summary with the counts that changed.

    A passage that was cut from no document counts as one.
    """
    now = {"passages": rows.get("corpus.parquet", rows.get("passages.parquet"))}
    now["judgements"] = rows.get("qrels.parquet")
    if "documents" in item.summary:
        table = "documents.parquet"
        chunks = (item.files[table].rows or 0) - rows[table] if table in rows else 0
        now["documents"] = item.summary["documents"] - 1 + chunks - len(gone[1:])
    changed = {key: value for key, value in now.items() if key in item.summary and value}
    return {**item.summary, **changed}


def _bury(store: Store, plan: PurgePlan, item: Manifest, after: ArtifactRef | None) -> None:
    """Leave a tombstone in place of an artifact: the record first, then nothing of the rest."""
    home = store.place(item).parent
    record = {
        "kind": item.kind,
        "id": item.id,
        "digest": item.digest,
        "stage": item.stage,
        "inputs": {role: vars(ref) for role, ref in item.inputs.items()},
        "purged": timestamp(),
        "passage": _named(plan.passage_id),
        "replaced_by": vars(after) if after else None,
    }
    durable.replace(home / TOMBSTONE, json.dumps(record, indent=1).encode())
    _remove(store.local / "work" / item.kind / item.key)
    store.forget_copies(item)
    slots.remove(home)
    _empty(home)


def _finish_begun(store: Store) -> None:
    """Take the files that a purge left which was killed when their manifest had just gone.

    No plan names them any more: without a manifest there is no artifact.
    """
    used = pins.pinned(store.root)
    for path in list(matching(store.root / "objects", f"*/*/{TOMBSTONE}")):
        home = path.parent
        if slots.read(home) is None and (home.parent.name, home.name) not in used:
            _empty(home)


def _empty(home: StorePath) -> None:
    """Leave nothing but the tombstone."""
    for path in home.iterdir():
        if path.name not in (TOMBSTONE, slots.MANIFEST):
            _remove(path)


def _remove(path: StorePath) -> None:
    if isinstance(path, ObjectPath):
        durable.discard(path, path)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
