"""What a person says about data that do not say it themselves."""

from dataclasses import dataclass, field
from typing import Any

from strop.pipeline.data.wording import COMMAND_LINE, Wording
from strop.pipeline.errors import InputError

COLUMNS = {
    "query": "the query's text",
    "query_id": "the query's id",
    "passage": "the passage's text, or a list of passages",
    "passage_id": "the passage's id",
    "title": "the passage's title",
    "negative": "a passage to mine from, or a list of them",
    "grade": "how relevant the passage is, a whole number; 1 where there is no such column",
    "score": "a teacher's score of the pair",
    "split": "train, dev, gate or test",
    "weight": "how much the query counts in training",
    "group_id": "queries that stay in one split",
    "parent_id": "the document that the passage was cut from",
}
"""What columns can mean, by strop's names."""


@dataclass(frozen=True)
class Options:
    """Which column is which, where a format leaves that open."""

    columns: dict[str, str] = field(default_factory=dict)
    wording: Wording = field(default=COMMAND_LINE, compare=False)

    def column(self, name: str) -> str | None:
        """The column that a person named for one of strop's names."""
        return self.columns.get(name)

    def told(self, meaning: str) -> str:
        """A named column as the person wrote it."""
        return self.wording.column(meaning, self.columns[meaning])

    def way(self, meaning: str, column: str = "NAME") -> str:
        """How to name a column that was not named."""
        return self.wording.column(meaning, column)

    def parameters(self) -> dict[str, Any]:
        """The identity parameters: none where nothing was said."""
        return {"columns": dict(sorted(self.columns.items()))} if self.columns else {}


def read_columns(settings: list[str]) -> dict[str, str]:
    """``NAME=COLUMN`` settings as a mapping; raises `InputError` for another form or name."""
    found = {}
    for setting in settings:
        name, equals, column = setting.partition("=")
        if not equals or not column:
            raise InputError(f"--column {setting!r}: expected NAME=COLUMN")
        if name not in COLUMNS:
            raise InputError(
                f"--column {setting!r}: {name!r} is unknown, expected one of {', '.join(COLUMNS)}"
            )
        found[name] = column
    return found
