"""`strop artifacts gc`: what would go, or what went."""

from strop.artifacts.backends.location import StorePath
from strop.artifacts.runs import run_names
from strop.artifacts.store import Store
from strop.artifacts.upkeep.collect import collect
from strop.artifacts.upkeep.plan import Plan, Policy, make_plan
from strop.cli.artifacts.text import age_text, columns, size_text
from strop.cli.output import REFUSED, end_with_error, print_json
from strop.pipeline.errors import counted

TITLES = ("kind", "id", "stage", "age", "size")


def collect_garbage(store: Store, policy: Policy, *, delete: bool, json: bool) -> None:
    """Print the plan, or carry it out and print what went."""
    known = run_names(store)
    for name in sorted(policy.without_runs - known):
        there = ", ".join(sorted(known)) or "none"
        end_with_error(f"run {name!r}: not in the store; the runs are {there}", code=REFUSED)
    plan = collect(store, policy) if delete else make_plan(store, policy)
    if json:
        print_json(_told(plan, delete))
        return
    rows = [
        (item.kind, item.id, item.stage, age_text(item.created), size_text(item.size))
        for item in plan.artifacts
    ]
    if rows:
        for line in columns(TITLES, rows, right=frozenset({"age", "size"})):
            print(line)
    for path in plan.leftovers:
        print(f"leftover  {_told_path(store, path)}")
    verb = "deleted" if delete else "would delete"
    leftovers = counted(len(plan.leftovers), "leftovers of stages that were stopped")
    artifacts = counted(len(plan.artifacts), "artifacts")
    print(f"{verb} {artifacts} ({size_text(plan.size)}) and {leftovers}")
    for name in sorted(policy.without_runs):
        print(f"{'forgot' if delete else 'would forget'} run {name}, with its reviews")
    for why, count in plan.kept.items():
        print(f"  kept {count:>6,}  {why}")
    if not delete:
        print("nothing was deleted; --delete acts")


def _told_path(store: Store, path: StorePath) -> str:
    """A path as seen from the store's own folder."""
    return str(path).removeprefix(f"{store.location}/").removeprefix(f"{store.local}/")


def _told(plan: Plan, delete: bool) -> dict[str, object]:
    return {
        "deleted": delete,
        "artifacts": [
            {"kind": item.kind, "id": item.id, "bytes": item.size, "created": item.created}
            for item in plan.artifacts
        ],
        "leftovers": [str(path) for path in plan.leftovers],
        "bytes": plan.size,
        "kept": plan.kept,
    }
