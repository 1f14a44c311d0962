"""Values as the tables of `strop artifacts` show them."""

import pytest

from strop.cli.artifacts.text import change_text, tree_branches, value_text

GUARD = "guard {rule margin, scores []}, lora null"


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (1, 2, "1 → 2"),
        ("short", "shorter", "short → shorter"),
        ("a" * 40 + " end", "a" * 40 + " end and more", "… end → … end and more"),
        ("old " + "b" * 40, "new " + "b" * 40, "old bbbbbbbbbbb… → new bbbbbbbbbbb…"),
    ],
)
def test_a_change_is_shown_where_it_is(before: object, after: object, shown: str) -> None:
    assert change_text(before, after, 16) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (-0.0, "0"),
        (0.123456, "0.1235"),
        (None, "null"),
        (True, "true"),
        ([None, 1.5, ""], "[null, 1.5, '']"),
        ({"guard": {"rule": "margin", "scores": []}, "lora": None}, GUARD),
        ([("margin by mining", 7)], "[margin by mining 7]"),
    ],
)
def test_values_read_as_in_a_config(value: object, shown: str) -> None:
    assert value_text(value) == shown


def test_a_tree_is_drawn_however_deep_it_is() -> None:
    lines = [
        f"{branch}{name}" for branch, name in zip(tree_branches([1, 2, 2, 1]), "abcd", strict=True)
    ]
    assert lines == ["├── a", "│   ├── b", "│   └── c", "└── d"]
    assert tree_branches([]) == []
    deep = tree_branches(range(1, 101))
    assert [len(branch) for branch in deep] == [4 * depth for depth in range(1, 101)]
