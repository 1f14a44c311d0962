"""What a plan reads of a run's data, from files as an import does or from the store."""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from strop.artifacts import tables
from strop.artifacts.names import looks_like_id
from strop.artifacts.schemas import CORPUS, DOCUMENTS
from strop.artifacts.store import Store
from strop.artifacts.tables import TableWriter
from strop.pipeline.config import Config
from strop.pipeline.data.configured import configured_request
from strop.pipeline.data.importing import import_files
from strop.pipeline.errors import InputError
from strop.pipeline.planning.measuring import TEXTS
from strop.tasks.by_id import artifact_by_id
from strop.tasks.earlier import joined_texts
from strop.tasks.query_fields import query_fields

IDS = ["passage_id", "parent_id"]


@dataclass(frozen=True)
class PlannedData:
    """How many passages there are and the first ones' texts, the queries, and what came along.

    ``corpus`` has ``passage_id`` and ``parent_id``; it is empty unless these were asked for.
    """

    name: str
    passages: int
    texts: list[str]
    queries: pa.Table
    qrels: pa.Table
    fields: pa.Table | None
    has_pool: bool
    has_scores: bool
    judges_documents: bool
    corpus: pa.Table
    reading: float = 0.0
    """CPU seconds that it took to read them."""

    @property
    def documents(self) -> pa.Table:
        """The document of every passage that was cut from one, where documents are judged."""
        if not self.judges_documents:
            return DOCUMENTS.empty_table()
        cut = self.corpus.filter(self.corpus["parent_id"].is_valid())
        return cut.rename_columns(DOCUMENTS.names).cast(DOCUMENTS)


def read_data(config: Config, store: Store | None, *, with_ids: bool) -> PlannedData:
    """The data of a run; raises `InputError` for those that the run would refuse."""
    started = time.process_time()
    if looks_like_id(config.dataset):
        kept = opened(store, "dataset", config.dataset)
        data = _from_store(kept, config.dataset, with_ids)
    else:
        data = _from_files(config, with_ids)
    return replace(data, reading=time.process_time() - started)


def opened(store: Store | None, key: str, name: str) -> Store:
    """The store that a config's id is looked up in; raises `InputError` where there is none."""
    if store is None:
        raise InputError(f"{key} = {name!r}: is an id, and there is no store; give --store")
    return store


def _from_files(config: Config, with_ids: bool) -> PlannedData:
    count, texts = 0, list[str]()
    with tempfile.TemporaryDirectory(prefix="strop-plan-") as folder:
        path = Path(folder) / "corpus.parquet"
        with TableWriter(path, CORPUS) as corpus:

            def write(passages: pa.Table) -> None:
                nonlocal count
                corpus.write(passages)
                count += passages.num_rows
                if len(texts) < TEXTS:
                    texts.extend(joined_texts(passages.slice(0, TEXTS - len(texts))))

            request = configured_request(config)
            found = import_files(request, write_corpus=write, read_rows=corpus.read_back)
        ids = _ids(path, with_ids)
    return PlannedData(
        name=config.dataset,
        passages=count,
        texts=texts,
        queries=found.queries,
        qrels=found.qrels,
        fields=found.query_fields if found.query_fields.num_rows else None,
        has_pool=bool(found.candidates.num_rows),
        has_scores=bool(found.teacher_scores.num_rows),
        judges_documents=found.judges_documents,
        corpus=ids,
    )


def _from_store(store: Store, name: str, with_ids: bool) -> PlannedData:
    manifest = artifact_by_id(store, name, "dataset", key="dataset")
    corpus = store.file(manifest, "corpus.parquet")
    first = next(iter(tables.iterate_batches(corpus, rows=TEXTS)))
    return PlannedData(
        name=manifest.id,
        passages=tables.count_rows(corpus),
        texts=list(joined_texts(first)),
        queries=store.table(manifest, "queries"),
        qrels=store.table(manifest, "qrels"),
        fields=query_fields(store, manifest.ref),
        has_pool="pool.parquet" in manifest.files,
        has_scores="teacher_scores.parquet" in manifest.files,
        judges_documents="documents.parquet" in manifest.files,
        corpus=_ids(corpus, with_ids),
    )


def _ids(corpus: Path, asked: bool) -> pa.Table:
    if not asked:
        return CORPUS.empty_table().select(IDS)
    return tables.read_table(corpus, columns=IDS)
