"""What a person wants imported, checked without Prefect: nothing is started and nothing kept."""

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from strop.artifacts.schemas import CORPUS
from strop.artifacts.tables import TableWriter
from strop.pipeline.data.importing import Request, import_files
from strop.pipeline.data.truncation import Truncation
from strop.pipeline.data.validation import Defects
from strop.pipeline.progress import SILENT, Progress


def data_request(
    data_format: str,
    path: str,
    *,
    columns: list[str],
    rule: dict[str, Any],
    chunks: tuple[int, int] | None = None,
) -> Request:
    """What to import; an unknown format or column is refused before anything starts."""
    return Request.checked(data_format, path, columns, rule, chunks)


def check_data(
    request: Request,
    tokenizer: str | None = None,
    max_tokens: int = 256,
    *,
    progress: Progress = SILENT,
) -> tuple[dict[str, Any], list[dict[str, Any]], list[str]]:
    """Read and check data without keeping anything; their counts, defects, and warning lines.

    With a model's name, warns of passages that have more than so many of its tokens.
    """
    lengths = Truncation(tokenizer, max_tokens) if tokenizer else None
    with (
        tempfile.TemporaryDirectory(prefix="strop-check-") as folder,
        TableWriter(Path(folder) / "corpus.parquet", CORPUS) as corpus,
    ):

        def write(passages: pa.Table) -> None:
            corpus.write(passages)
            if lengths:
                lengths.measure(passages)

        progress.start(0, "passages")
        found = import_files(
            request, write_corpus=write, read_rows=corpus.read_back, progress=progress
        )
    defects = Defects()
    if lengths:
        lengths.warn(defects, str(request.path))
    warnings = [*found.warnings, *defects.warnings()]
    return found.summary, [*found.report, *defects.report()], warnings
