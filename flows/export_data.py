"""What leaves the store for other trainers; plain functions, nothing that Prefect would run."""

from strop.artifacts.store import Store
from strop.tasks.export_data import Exported, export_negatives


def exported_negatives(store: Store, artifact_id: str, name: str, *, scores: bool) -> Exported:
    """The lines of a negatives artifact in another format."""
    return export_negatives(store, artifact_id, name, scores=scores)
