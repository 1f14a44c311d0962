"""What a dataset knows of its queries beside their texts: what slices are cut by."""

import pyarrow as pa

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.config import Config
from strop.pipeline.data.query_fields import require_fields


def query_fields(store: Store, dataset: ArtifactRef) -> pa.Table | None:
    """What else a dataset knows of its queries; None where that is nothing."""
    has = "query_fields.parquet" in store.manifest(dataset).files
    return store.table(dataset, "query_fields") if has else None


def check_slices(store: Store, dataset: ArtifactRef, config: Config) -> None:
    """Raise `InputError` for a slice by a field that no query has."""
    require_fields(config.evaluation.slices, query_fields(store, dataset))
