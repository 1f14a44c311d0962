"""What a person wants imported, checked without Prefect: nothing is started and nothing kept."""

from typing import Any

from strop.pipeline.data.importing import Request, import_files


def data_request(
    data_format: str, path: str, *, columns: list[str], rule: dict[str, Any]
) -> Request:
    """What to import; an unknown format or column is refused before anything starts."""
    return Request.checked(data_format, path, columns, rule)


def check_data(request: Request) -> tuple[dict[str, Any], list[dict[str, Any]], list[str]]:
    """Read and check data without keeping anything; their counts, defects, and warning lines."""
    found = import_files(request, write_corpus=lambda table: None)
    return found.summary, found.report, found.warnings
