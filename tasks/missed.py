"""What a data set's owner should know of the positives that the first stage does not find."""

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.tasks.documents import document_map


def missed_sentence(store: Store, dataset: ArtifactRef, candidates: ArtifactRef) -> str:
    """How many positives the candidates lack, and the first of them; empty where they lack none."""
    from strop.pipeline.first_stage.missed import missed_positives

    documents = document_map(store, dataset)
    path, keys = store.file(candidates, "candidates.parquet"), ["query_id", "passage_id"]
    found = map(documents.named, tables.iterate_batches(path, columns=keys))
    missed = missed_positives(found, store.table(dataset, "qrels"))
    return missed.sentence(store.manifest(candidates).summary["depth"])
