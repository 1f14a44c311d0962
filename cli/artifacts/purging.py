"""`strop artifacts purge`: a passage goes, and what still derives from it is named."""

from typing import Any

from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.artifacts.upkeep.purge import Replaced, purge
from strop.artifacts.upkeep.purge_plan import PurgePlan, purge_plans
from strop.cli.output import print_json

OUTSIDE = (
    "not in the store, so not looked at: the files it was imported from, exports and copies of "
    "models, Prefect's own database (its copies of reports may quote passages), backups"
)


def purge_passage(store: Store, passage_id: str, *, delete: bool, json: bool) -> None:
    """Print what would be done for every data set with the passage, or do it."""
    if delete:
        done = purge(store, passage_id)
    else:
        done = [(plan, {}) for plan in purge_plans(store, passage_id)]
    if json:
        print_json({"deleted": delete, "datasets": [_told(*pair) for pair in done]})
        return
    for plan, replaced in done:
        _print(plan, replaced, delete)
    print(OUTSIDE)
    if not delete:
        print("nothing was changed; --delete acts")


def _print(plan: PurgePlan, replaced: Replaced, delete: bool) -> None:
    would = "" if delete else "would be "
    print(f"dataset {plan.dataset.id} has passage {plan.passage_id!r}")
    for item in plan.rewritten:
        after = f" as {item.kind} {replaced[item.id].id}" if item.id in replaced else ""
        print(f"  {would}made again without it{after}: {_name(item)}")
    for item in plan.erased:
        print(f"  {would}erased, for a new run to make again: {_name(item)}")
    for (kind, artifact_id), how in plan.trained.items():
        print(f"  still derives from it: {kind} {artifact_id} saw it {how}; weights stay")
    for item in plan.mentions:
        print(f"  still has its id and scores, not its text: {_name(item)}")
    if plan.copies:
        print(f"  the very same text is in {len(plan.copies)} more: {', '.join(plan.copies[:5])}")
    if plan.trained:
        print("  to be rid of what was learnt from it, train anew over the new data set")


def _name(item: Manifest) -> str:
    return f"{item.kind} {item.id} ({item.stage})"


def _told(plan: PurgePlan, replaced: Replaced) -> dict[str, Any]:
    return {
        "dataset": plan.dataset.id,
        "rewritten": [
            {"kind": item.kind, "id": item.id, "as": getattr(replaced.get(item.id), "id", None)}
            for item in plan.rewritten
        ],
        "erased": [{"kind": item.kind, "id": item.id} for item in plan.erased],
        "trained": [
            {"kind": key[0], "id": key[1], "how": how} for key, how in plan.trained.items()
        ],
        "mentions": [{"kind": item.kind, "id": item.id} for item in plan.mentions],
        "copies": plan.copies,
    }
