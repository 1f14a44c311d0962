"""The dataset artifact: a BEIR folder, the demo's documentation, or one that is in the store."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strop.artifacts.errors import StoreError
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import CORPUS, DOCUMENTS
from strop.artifacts.store import Attempt, Store
from strop.artifacts.tables import TableWriter, iterate_batches
from strop.pipeline.data.configured import configured_request as configured_request
from strop.pipeline.data.documentation import DocumentationSizes, documentation_dataset
from strop.pipeline.data.importing import (
    Request,
    import_files,
    import_split,
    moves_queries,
    split_files,
)
from strop.pipeline.data.locations import location
from strop.pipeline.data.python_sources import documentation_sources
from strop.pipeline.data.readers.files import Files
from strop.pipeline.data.readers.tables import has_grades
from strop.pipeline.data.splits import SplitRule
from strop.pipeline.data.versions import corpus_changes
from strop.pipeline.errors import InputError
from strop.pipeline.progress import Progress
from strop.tasks.by_id import artifact_by_id
from strop.tasks.stage import Place, carry_out, stage_task

Stamps = Mapping[str, tuple[int, int, int] | None]


@stage_task("import data")
def import_request(place: Place, request: Request) -> Any:
    """Import data of a format; the id is over the content of its files and what was said of them.

    A BEIR folder whose splits near duplicates leave alone keeps the id that it had without them.
    """
    digests, stamps = _digests(request.files())
    stage, version = f"import {request.format}", _version(request)
    recipe = Recipe("dataset", stage, version, {"files": digests, **request.parameters()}, {})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        progress.start(0, "passages")
        with TableWriter(attempt.folder / "corpus.parquet", CORPUS) as writer:
            imported = import_files(
                request,
                write_corpus=writer.write,
                read_rows=writer.read_back,
                progress=progress,
            )
        _require_unchanged(digests, stamps, request.files())
        attempt.write_table("queries", imported.queries)
        # Optional tables: data without them keep the digest that they had before there were any.
        if imported.query_fields.num_rows:
            attempt.write_table("query_fields", imported.query_fields)
        attempt.write_table("qrels", imported.qrels)
        if imported.candidates.num_rows:
            attempt.write_table("pool", imported.candidates)
        if imported.teacher_scores.num_rows:
            attempt.write_table("teacher_scores", imported.teacher_scores)
        if imported.judges_documents:
            _write_documents(attempt)
        changes = _changes(place.open(), stage, request.path.name, attempt)
        return {"source": request.path.name, **imported.summary, **changes}

    return carry_out(place, recipe, compute)


def _digests(files: Files) -> tuple[dict[str, str], Stamps]:
    """The SHA-256 of every file, and its stamp from before it was read."""
    stamps = {name: file.stamp() for name, file in files.items()}
    return {name: file.sha256() for name, file in files.items()}, stamps


def _require_unchanged(digests: Mapping[str, str], stamps: Stamps, files: Files) -> None:
    """Raise `InputError` when files are not what the data set's id was made of.

    Only files whose stamp cannot tell are read again.
    """
    for name in sorted(digests.keys() | files.keys()):
        file = files.get(name)
        if file is not None and (now := file.stamp()) is not None and now == stamps.get(name):
            continue
        if file is None or file.sha256() != digests.get(name):
            raise InputError(f"{file or name}: changed while it was read; import it again")


def _version(request: Request) -> int:
    """The recipe's version; data whose tables never changed keep their first."""
    grouped = request.format != "beir" or "group_id" in request.options.columns
    if grouped and request.rule.by == "source":
        return 5
    if request.format == "beir" and grouped:
        return 3
    if request.format == "beir":
        return 2 if moves_queries(request) else 1
    if request.format == "huggingface" and has_grades(request.files(), request.options):
        return 4
    if request.format in ("table", "huggingface") and _reads_anew(request.files()):
        return 3
    return {"trec": 1}.get(request.format, 2)


def _reads_anew(files: Files) -> bool:
    """Whether there are records without some columns, or judgements with a split each."""
    return any(".jsonl" in name or "qrels" in name for name in files)


def _write_documents(attempt: Attempt) -> None:
    """The document of every passage that was cut from one, read back from the corpus."""
    columns = ["passage_id", "parent_id"]
    with TableWriter(attempt.folder / "documents.parquet", DOCUMENTS) as writer:
        for batch in iterate_batches(attempt.folder / "corpus.parquet", columns=columns):
            cut = batch.filter(batch["parent_id"].is_valid())
            writer.write(cut.rename_columns(DOCUMENTS.names).cast(DOCUMENTS))


def _changes(store: Store, stage: str, source: str, attempt: Attempt) -> dict[str, Any]:
    """What changed since the newest import of the same source, and which that is.

    The id is over the content alone, so the link to the earlier version is no input but a fact.
    """
    for earlier in reversed(store.artifacts("dataset")):
        if (earlier.stage, earlier.summary.get("source")) == (stage, source):
            try:
                store.use(earlier.ref)
            except StoreError:  # collected just now
                continue
            columns = ["passage_id", "title", "text"]
            paths = (store.file(earlier, "corpus.parquet"), attempt.folder / "corpus.parquet")
            corpora = (iterate_batches(path, columns=columns) for path in paths)
            found = corpus_changes(*corpora)
            return {"previous": earlier.id, "passages_since": found} if found else {}
    return {}


def beir_request(folder: Path, rule: SplitRule) -> Request:
    """A BEIR folder with nothing more said of it."""
    return Request("beir", location(folder), rule=rule)


@stage_task("import split")
def import_beir_split(place: Place, folder: Path, split: str) -> Any:
    """Import a BEIR folder's corpus and the queries of one split, as they are."""
    files = split_files(location(folder), split)
    digests, stamps = _digests(files)
    recipe = Recipe("dataset", "import split", 1, {"files": digests}, {})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        with TableWriter(attempt.folder / "corpus.parquet", CORPUS) as writer:
            imported = import_split(location(folder), split, write_corpus=writer.write)
        _require_unchanged(digests, stamps, files)
        attempt.write_table("queries", imported.queries)
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
    return store.use(artifact_by_id(store, artifact_id, "dataset", key="dataset").ref).ref


def _split_counts(queries: Any) -> list[dict[str, Any]]:
    counts: list[dict[str, Any]] = queries["split"].cast("string").value_counts().to_pylist()
    return counts
