"""The candidates of one split's queries, which are few beside those of train."""

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store


def candidates_of_split(store: Store, candidates: ArtifactRef, split: str) -> pa.Table:
    """The rows of a candidates table that are of this split's queries."""
    return store.rows(candidates, "candidates", lambda rows: pc.equal(rows["split"], split))
