"""`strop artifacts diff`: two artifacts of a kind, beside each other."""

from collections.abc import Callable
from typing import Any

from strop.artifacts.inspection.diff import Diff, Pair, diff
from strop.artifacts.inspection.table_diff import Moved, Row, TableDiff
from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.cli.artifacts.text import cell_text, change_text, value_text
from strop.cli.output import print_json
from strop.pipeline.errors import counted

WIDTH = 32
SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def show_diff(
    store: Store, before: Manifest, after: Manifest, *, examples: int, json: bool
) -> None:
    """Print what differs; raises `StoreError` for artifacts of two kinds."""
    found = diff(store, before, after, examples=examples)
    if json:
        print_json(_told(found))
        return
    print(f"{before.kind} {before.id} → {after.id}")
    if found.same_content:
        print("the same content, bit for bit")
    for title in ("made", "parameters", "inputs", "summary", "files"):
        _print_pairs(title, getattr(found, title))
    for table in found.tables:
        print()
        for line in _table_lines(table):
            print(line)


def _print_pairs(title: str, pairs: dict[str, Pair]) -> None:
    if not pairs:
        return
    print(f"\n{title}")
    width = max(map(len, pairs))
    for key, (before, after) in pairs.items():
        values = (cell_text("–" if value is None else value, 48) for value in (before, after))
        print(f"  {key:<{width}}  {' → '.join(values)}")


def _table_lines(table: TableDiff) -> list[str]:
    first, second = table.rows
    key = ", ".join(table.key)
    if table.same:
        return [f"{table.title}: {counted(second, 'rows')}, all the same (by {key})"]
    lines = [
        f"{table.title}: {first:,} → {counted(second, 'rows')}: {table.added:,} added, "
        f"{table.removed:,} removed, {table.changed:,} changed (by {key})"
    ]
    if table.queries is not None:
        both, only_first, only_second = table.queries
        lines.append(
            f"  queries: {both:,} in both, {only_first:,} only before, {only_second:,} only after"
        )
    for side, names in zip(("before", "after"), table.columns, strict=True):
        lines += [f"  column {name} only {side}" for name in names]
    lines += [f"  column {name}: {old} → {new}" for name, (old, new) in table.types.items()]
    if table.changed_columns:
        counts = (f"{name} {count:,}" for name, count in table.changed_columns.items())
        lines.append(f"  changed: {', '.join(counts)}")
    for group in table.moved:
        if group.gained or group.lost:
            lines += _moved_lines(group)
    for title, sign in SIGNS.items():
        show = _change_text if title == "changed" else _cell
        lines += [f"  {sign} {_row_text(row, table.key, show)}" for row in table.examples[title]]
    return lines


def _moved_lines(group: Moved) -> list[str]:
    within = f"{' '.join(value_text(value) for value in group.within.values())}: "
    lines = [
        f"  {within if group.within else ''}{group.gained:,} gained, {group.lost:,} lost, "
        f"{group.rows - group.gained - group.lost:,} the same, mean {group.mean:+.4f}"
    ]
    for row in [*group.gains, *group.losses]:
        key = [value_text(value) for name, value in row.items() if name not in MOVE]
        before, after = value_text(row["before"]), value_text(row["after"])
        lines.append(f"    {row['change']:+.4f}  {before} → {after}  {' '.join(key)}")
    return lines


MOVE = ("before", "after", "change")


def _row_text(row: Row, key: tuple[str, ...], show: Callable[[Any], str]) -> str:
    named = " ".join(cell_text(row[column]) for column in key)
    others = [
        f"{name} {show(value)}"
        for name, value in row.items()
        if name not in key and value is not None
    ]
    return f"{named}  {', '.join(others)}".rstrip()


def _cell(value: Any) -> str:
    return cell_text(value, WIDTH)


def _change_text(value: Any) -> str:
    before, after = ("–" if item is None else item for item in value)
    return change_text(before, after, WIDTH)


def _told(found: Diff) -> dict[str, Any]:
    named = {"kind": found.before.kind, "before": found.before.id, "after": found.after.id}
    facts = ("made", "parameters", "inputs", "summary", "files")
    return {
        **named,
        "same_content": found.same_content,
        **{title: getattr(found, title) for title in facts},
        "tables": [
            {**vars(table), "same": table.same, "moved": [vars(item) for item in table.moved]}
            for table in found.tables
        ],
    }
