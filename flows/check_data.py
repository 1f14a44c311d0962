"""What a person wants imported, checked without Prefect: nothing is started and nothing kept."""

from typing import Any

from strop.pipeline.data.importing import Request, import_files
from strop.pipeline.data.truncation import Truncation
from strop.pipeline.data.validation import Defects


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
    request: Request, tokenizer: str | None = None, max_tokens: int = 256
) -> tuple[dict[str, Any], list[dict[str, Any]], list[str]]:
    """Read and check data without keeping anything; their counts, defects, and warning lines.

    With a model's name, warns of passages that have more than so many of its tokens.
    """
    if tokenizer is None:
        found = import_files(request, write_corpus=lambda table: None)
        return found.summary, found.report, found.warnings
    lengths, defects = Truncation(tokenizer, max_tokens), Defects()
    found = import_files(request, write_corpus=lengths.measure)
    lengths.warn(defects, str(request.path))
    warnings = [*found.warnings, *defects.warnings()]
    return found.summary, [*found.report, *defects.report()], warnings
