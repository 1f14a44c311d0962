"""What a report says of queries that nearly repeat each other."""

import json
from pathlib import Path

from strop.artifacts.manifest import ArtifactRef
from strop.pipeline.data.splits import SplitRule
from strop.tasks.import_data import beir_request, import_request
from strop.tasks.repeated import repeated_sentence
from strop.tasks.stage import Place
from tests.world import tiny_beir


def told(folder: Path, texts: dict[str, str]) -> str:
    """What is said of a data set whose queries differ but for these texts."""
    data = tiny_beir(folder / "data")
    path = data / "queries.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for number, row in enumerate(rows):
        row["text"] = texts.get(row["_id"], f"which item{number} is on shelf{number}")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    place = Place(folder / "store", "tiny", "prepare")
    made = import_request.fn(place, beir_request(data, SplitRule()))
    dataset = made if isinstance(made, ArtifactRef) else made.data
    return repeated_sentence(place.open(), dataset)


def test_repeated_queries_are_counted_with_those_that_were_left_out(tmp_path: Path) -> None:
    same = {"train-3": "where do owls sleep", "test-2": "Where do OWLS sleep?"}
    assert told(tmp_path, same) == (
        "2 queries nearly repeat another; so that none stands in another split than its like, "
        "1 was left out."
    )


def test_like_queries_of_one_split_stay(tmp_path: Path) -> None:
    same = {"train-3": "where do owls sleep", "train-4": "Where do OWLS sleep?"}
    assert told(tmp_path, same) == (
        "2 queries nearly repeat another; none stands in another split than its like."
    )


def test_nothing_is_said_where_no_query_repeats_another(tmp_path: Path) -> None:
    assert told(tmp_path, {}) == ""
