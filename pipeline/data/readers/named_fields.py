"""Fields that a person named for JSON records: one that no record has is an error."""

from typing import Any

from strop.pipeline.data.locations import Location
from strop.pipeline.data.readers.options import Options
from strop.pipeline.data.validation import Defects


class NamedFields:
    """Which of the named fields no record had so far."""

    def __init__(self, options: Options, meanings: tuple[str, ...]) -> None:
        """Wait for the fields that were named for these meanings."""
        self._options = options
        self.unseen = {
            meaning: field for meaning in meanings if (field := options.column(meaning)) is not None
        }

    def look(self, *records: Any) -> None:
        """Note the fields of a record; what is no object has none."""
        if self.unseen:
            there = [record for record in records if isinstance(record, dict)]
            self.unseen = {
                meaning: field
                for meaning, field in self.unseen.items()
                if not any(field in record for record in there)
            }

    def refuse_unseen(self, path: Location | str, defects: Defects) -> None:
        """An error for each named field that no record had; call when all are read."""
        for meaning, field in self.unseen.items():
            defects.add(
                f"unknown {meaning}", f"{path}: no record has the field {field!r} ("
                f"{self._options.told(meaning)}), expected its name as it is in the file"
            )  # fmt: skip
