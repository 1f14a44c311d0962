"""Values as the tables of `strop artifacts` show them."""

import pytest

from strop.cli.artifacts.text import change_text


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
