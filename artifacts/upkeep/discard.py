"""Artifacts that have served their purpose, deleted at once and beside running work."""

import secrets
from collections.abc import Sequence

from strop.artifacts import durable, pins, slots
from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.artifacts.upkeep.collect import sweep


def discard(store: Store, items: Sequence[Manifest]) -> None:
    """Delete artifacts from which nothing was made, unless another process has them pinned.

    Hidden first, as by a garbage collection: a lookup beside this brings one back, and keeps it.
    """
    if not items:
        return
    for item in items:
        pins.unpin(store.root, item.kind, item.id)
    hidden = [item for item in items if slots.hide(store.place(item).parent)]
    used = pins.pinned(store.root)
    for item in hidden:
        if (item.kind, item.id) in used:
            slots.bring_back(store.place(item).parent)
    trash = store.root / "gc" / "trash" / secrets.token_hex(6)
    trash.mkdir(parents=True)
    sweep(store, [item for item in hidden if (item.kind, item.id) not in used], trash)
    durable.remove_tree(trash)
    for item in items:
        store.forget_copies(item)
