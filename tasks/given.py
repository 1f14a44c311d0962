"""What data came with beside judgements: passages to mine from, and a teacher's scores."""

from typing import Any

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt
from strop.pipeline.errors import InputError
from strop.pipeline.progress import Progress
from strop.tasks.run_pool import write_run_pool
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("read given pool")
def read_given_pool(place: Place, dataset: ArtifactRef, depth: int) -> Any:
    """The passages that the data themselves offer as negatives, the best-scored first.

    Raises `InputError` where they offer none.
    """
    require_pool("pool.parquet" in place.open().manifest(dataset).files, dataset.id)
    recipe = Recipe("candidates", "read given pool", 1, {"depth": depth}, {"dataset": dataset})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage.run_file import Lines

        store, lines = place.open(), Lines("pool.parquet", 1)
        return write_run_pool(attempt, store, dataset, store.table(dataset, "pool"), lines, depth)

    return carry_out(place, recipe, compute)


@stage_task("read given scores")
def read_given_scores(place: Place, dataset: ArtifactRef) -> Any:
    """The teacher's scores that came with the data; raises `InputError` where none did."""
    require_scores("teacher_scores.parquet" in place.open().manifest(dataset).files, dataset.id)
    recipe = Recipe("scores", "read given scores", 1, {}, {"dataset": dataset})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        found = place.open().table(dataset, "teacher_scores")
        attempt.write_table("scores", found)
        return {"pairs": found.num_rows}

    return carry_out(place, recipe, compute)


def require_pool(there: bool, dataset: str) -> None:
    """Raise `InputError` where a data set came without negatives."""
    if not there:
        raise InputError(
            f"mining.more_pools source 'given': dataset {dataset} came without negatives; "
            "expected one from a format that has them, such as flagembedding"
        )


def require_scores(there: bool, dataset: str) -> None:
    """Raise `InputError` where a data set came without a teacher's scores."""
    if not there:
        raise InputError(
            f"mining.teacher = 'given': dataset {dataset} came without a teacher's scores; "
            "expected data with them, such as pos_scores and neg_scores of flagembedding, or a "
            "reranker as mining.teacher"
        )
