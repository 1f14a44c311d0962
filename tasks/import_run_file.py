"""A user's own run: its file as a root of the store, and its rows as candidates of a data set."""

import hashlib
from pathlib import Path
from typing import Any

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt
from strop.pipeline.errors import InputError
from strop.pipeline.progress import Progress
from strop.tasks.run_pool import write_run_pool
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("import run file")
def import_run_file(place: Place, path: Path) -> Any:
    """Import a run in TREC or TSV form; the id is over the file's content."""
    recipe = Recipe("run_file", "import run file", 1, {"sha256": _sha256(path)}, {})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage.run_file import read_run

        run, first_line = read_run(path)
        attempt.write_table("run", run)
        queries = len(run["query_id"].unique())
        return {"file": path.name, "rows": len(run), "queries": queries, "first_line": first_line}

    return carry_out(place, recipe, compute)


@stage_task("read run file")
def read_run_file(
    place: Place, dataset: ArtifactRef, run_file: ArtifactRef, path: Path, depth: int
) -> Any:
    """The run's best passages for every query that it has; ``path`` is for messages only."""
    inputs = {"dataset": dataset, "run_file": run_file}
    recipe = Recipe("candidates", "read run file", 1, {"depth": depth}, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage.run_file import Lines

        store = place.open()
        lines = Lines(str(path), store.manifest(run_file).summary["first_line"])
        return write_run_pool(attempt, store, dataset, store.table(run_file, "run"), lines, depth)

    return carry_out(place, recipe, compute)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), expected a run") from error
