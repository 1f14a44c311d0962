"""A folder in which one stage writes its files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from strop.artifacts import tables
from strop.artifacts.manifest import Manifest, Recipe
from strop.artifacts.schemas import TABLES


@dataclass(frozen=True)
class Attempt:
    """A folder in which one stage writes its files; it becomes an artifact by `Store.commit`.

    ``execution`` takes what is true of this one execution, such as timings; no digest covers it.
    ``shards`` are artifacts of which it is put together, and which nobody needs once it is one.
    """

    recipe: Recipe
    name: str
    folder: Path
    execution: dict[str, Any] = field(default_factory=dict)
    shards: list[Manifest] = field(default_factory=list)

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write one declared table of this kind."""
        tables.write_table(self.folder / f"{name}.parquet", table, TABLES[self.recipe.kind][name])
