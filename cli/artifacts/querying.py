"""`strop artifacts query`: SQL over the store, as a table, JSON or CSV."""

import csv
import itertools
import json
import sys
from enum import StrEnum
from typing import Any

from strop.artifacts.inspection.query import Answer, query
from strop.artifacts.store import Store
from strop.cli.artifacts.text import cell_text, columns
from strop.cli.output import json_value
from strop.pipeline.errors import counted


class Shape(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def run_query(store: Store, sql: str, *, shape: Shape, rows: int) -> None:
    """Print the answer; a table stops after so many rows, and says so."""
    with query(store, sql) as answer:
        if shape is Shape.JSON:
            _write_json(answer)
        elif shape is Shape.CSV:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(answer.columns)
            for batch in answer.batches:
                writer.writerows(batch)
        else:
            _write_table(answer, rows)


def _write_json(answer: Answer) -> None:
    """A list of objects, written row by row."""
    separator = "[\n"
    for row in itertools.chain.from_iterable(answer.batches):
        values = dict(zip(answer.columns, map(json_value, row), strict=True))
        sys.stdout.write(separator + json.dumps(values, ensure_ascii=False))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def _write_table(answer: Answer, limit: int) -> None:
    found = itertools.chain.from_iterable(answer.batches)
    shown = [[cell_text(_shown(value)) for value in row] for row in itertools.islice(found, limit)]
    for line in columns(answer.columns, shown):
        print(line)
    left = sum(1 for _ in found)
    more = f", {left:,} more not shown: --rows, --json or --csv" if left else ""
    print(f"({counted(len(shown), 'rows')}{more})")


def _shown(value: Any) -> Any:
    return "" if value is None else value
