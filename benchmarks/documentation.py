"""The demo's data in any size, as a folder in BEIR layout.

    python -m benchmarks.documentation OUT [--passages 7000 --train 2400 --dev 300 --test 900]

The texts are docstrings of the Python packages that are installed: other versions give others.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from strop.artifacts.store import Store
from strop.pipeline.data.documentation import DocumentationSizes
from strop.tasks.import_data import import_documentation
from strop.tasks.stage import Place


def write(out: Path, sizes: DocumentationSizes, seed: int) -> None:
    """Write the folder, whole or not at all."""
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "qrels").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        made = import_documentation.fn(
            Place(store.location, "import", "documentation"), sizes, seed
        )
        tables = {
            name: store.table(getattr(made, "data", made), name).to_pylist()
            for name in ("corpus", "queries", "qrels")
        }
    _lines(part / "corpus.jsonl", tables["corpus"], ("passage_id", "title", "text"))
    _lines(part / "queries.jsonl", tables["queries"], ("query_id", "text"))
    splits = {row["query_id"]: str(row["split"]) for row in tables["queries"]}
    for split in ("train", "dev", "test"):
        with (part / "qrels" / f"{split}.tsv").open("w") as file:
            file.write("query-id\tcorpus-id\tscore\n")
            for row in tables["qrels"]:
                if splits[row["query_id"]] == split:
                    file.write(f"{row['query_id']}\t{row['passage_id']}\t{row['grade']}\n")
    part.rename(out)


def _lines(path: Path, rows: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            record = {"_id" if name.endswith("_id") else name: row[name] for name in names}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    for name, count in {"passages": 7000, "train": 2400, "dev": 300, "test": 900}.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sizes = DocumentationSizes(
        passages=given.passages, train=given.train, dev=given.dev, gate=0, test=given.test
    )
    write(given.out, sizes, given.seed)


if __name__ == "__main__":
    main()
