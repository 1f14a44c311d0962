"""What a data set's owner should know of queries that nearly repeat each other."""

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store


def repeated_sentence(store: Store, dataset: ArtifactRef) -> str:
    """How many queries nearly repeat another one, and where they went; empty where none do."""
    summary = store.manifest(dataset).summary
    if not (repeated := summary.get("near_duplicate_queries", 0)):
        return ""
    left_out = summary.get("queries_left_out_as_duplicates", 0)
    said = f"{repeated:,} {'queries nearly repeat' if repeated > 1 else 'query nearly repeats'}"
    if not left_out:
        return f"{said} another; none stands in another split than its like."
    were = "were" if left_out > 1 else "was"
    return (
        f"{said} another; so that none stands in another split than its like, {left_out:,} {were} "
        "left out."
    )
