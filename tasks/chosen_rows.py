"""The rows of a selection that came to something; those that were skipped are most of it."""

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store


def chosen_rows(
    store: Store, selection: ArtifactRef, *, columns: list[str] | None = None
) -> pa.Table:
    """The positives, negatives and suspects of a selection; ``decision`` is among the columns."""
    return store.rows(
        selection,
        "selection",
        lambda rows: pc.not_equal(rows["decision"], "skipped"),
        columns=columns,
    )
