"""The dataset artifact: a BEIR folder, the demo's documentation, or one that is in the store."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import CORPUS
from strop.artifacts.store import Attempt, Store
from strop.artifacts.tables import TableWriter
from strop.pipeline.config import Config
from strop.pipeline.data.beir import beir_files
from strop.pipeline.data.beir_import import import_beir
from strop.pipeline.data.documentation import (
    DocumentationSizes,
    documentation_dataset,
    documentation_sources,
)
from strop.pipeline.data.query_fields import require_fields
from strop.pipeline.data.splits import SplitRule
from strop.pipeline.errors import InputError
from strop.pipeline.progress import Progress
from strop.tasks.stage import Place, carry_out, stage_task

ID = re.compile(r"[0-9a-f]{6,16}")


@stage_task("import beir")
def import_beir_folder(place: Place, folder: Path, rule: SplitRule) -> Any:
    """Import a BEIR folder; the id is over the content of its files and the split rule."""
    digests = {name: _sha256(path) for name, path in beir_files(folder).items()}
    recipe = Recipe("dataset", "import beir", 1, {"files": digests, **vars(rule)}, {})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        with TableWriter(attempt.folder / "corpus.parquet", CORPUS) as writer:
            imported = import_beir(folder, rule, write_corpus=writer.write)
        attempt.write_table("queries", imported.queries)
        # Data without fields keep the digest that they had before strop read any.
        if imported.query_fields.num_rows:
            attempt.write_table("query_fields", imported.query_fields)
        attempt.write_table("qrels", imported.qrels)
        return {"source": folder.name, **imported.summary}

    return carry_out(place, recipe, compute)


@stage_task("import documentation")
def import_documentation(place: Place, sizes: DocumentationSizes, seed: int) -> Any:
    """Build the demo's data set from the documentation of the installed Python packages."""
    parameters = {"sources": documentation_sources(), "sizes": vars(sizes), "seed": seed}
    recipe = Recipe("dataset", "import documentation", 2, parameters, {})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        dataset = documentation_dataset(seed=seed, sizes=sizes, progress=progress)
        attempt.write_table("corpus", dataset.corpus)
        attempt.write_table("queries", dataset.queries)
        attempt.write_table("query_fields", dataset.query_fields)
        attempt.write_table("qrels", dataset.qrels)
        counts = {item["values"]: item["counts"] for item in _split_counts(dataset.queries)}
        return {
            "passages": dataset.corpus.num_rows,
            **{f"{split}_queries": count for split, count in sorted(counts.items())},
            "judgements": dataset.qrels.num_rows,
        }

    return carry_out(place, recipe, compute)


@stage_task("find dataset")
def find_dataset(place: Place, artifact_id: str) -> ArtifactRef:
    """A dataset that was imported before, by its id."""
    store = place.open()
    manifest = store.find(artifact_id)
    if manifest.kind != "dataset":
        raise InputError(
            f"dataset {artifact_id!r}: is a {manifest.kind} artifact, expected a dataset; "
            "see `strop artifacts ls --kind dataset`"
        )
    return store.use(manifest.ref).ref


def query_fields(store: Store, dataset: ArtifactRef) -> pa.Table | None:
    """What else a dataset knows of its queries; None where that is nothing."""
    has = "query_fields.parquet" in store.manifest(dataset).files
    return store.table(dataset, "query_fields") if has else None


def check_slices(store: Store, dataset: ArtifactRef, config: Config) -> None:
    """Raise `InputError` for a slice by a field that no query has."""
    require_fields(config.evaluation.slices, query_fields(store, dataset))


def looks_like_id(dataset: str) -> bool:
    """Whether the config's dataset names an artifact rather than a folder."""
    return bool(ID.fullmatch(dataset)) and not Path(dataset).exists()


def _split_counts(queries: Any) -> list[dict[str, Any]]:
    counts: list[dict[str, Any]] = queries["split"].cast("string").value_counts().to_pylist()
    return counts


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
