"""Data as a config names them: read as `strop import` reads them with the same words."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from strop.artifacts.manifest import ArtifactRef
from strop.flows.prepare import import_dataset, in_store
from strop.pipeline.config import Config, with_values
from strop.pipeline.data.importing import Request
from strop.pipeline.data.splits import SplitRule
from strop.pipeline.errors import InputError
from strop.tasks import import_data as importing
from strop.tasks.import_data import (
    beir_request,
    configured_request,
    import_beir_split,
    import_request,
)
from strop.tasks.stage import Place

DATA: dict[str, Any] = {
    "format": "table",
    "columns": {"query": "question", "passage": "body", "passage_id": "did"},
    "test_share": 0.2,
    "split_by": "time",
    "time_field": "asked",
    "chunk_words": 8,
    "chunk_overlap": 2,
}


def done(stage: Any, *arguments: Any) -> ArtifactRef:
    result = stage.fn(*arguments)
    return result if isinstance(result, ArtifactRef) else result.data


def rows(path: Path) -> Path:
    records = [
        {"question": f"w{n} ?", "body": f"w{n} " * (n + 1), "did": f"d{n}", "asked": 2000 + n}
        for n in range(20)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_config_alone_reads_named_columns_splits_and_chunks(tmp_path: Path) -> None:
    place, path = Place(tmp_path / "store", "tiny", "prepare"), rows(tmp_path / "rows.jsonl")
    config = Config.model_validate({"dataset": str(path), "data": DATA, "dev_share": 0.2})
    by_config = done(import_request, place, configured_request(config))
    rule = {"dev_share": 0.2, "gate_share": 0.5, "test_share": 0.2, "by": "time"}
    said = ["query=question", "passage=body", "passage_id=did"]
    request = Request.checked(
        "table", str(path), said, {**rule, "time_field": "asked", "seed": 1}, (8, 2)
    )
    by_hand = done(import_request, place, request)
    assert by_config == by_hand
    store = place.open()
    queries = store.table(by_config, "queries").to_pylist()
    assert {row["text"] for row in queries if row["split"] == "test"} == {
        f"w{n} ?" for n in range(16, 20)
    }
    chunks = store.table(by_config, "documents").to_pylist()
    assert {row["document_id"] for row in chunks} == {f"d{n}" for n in range(8, 20)}


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"columns": {"query": "nope"}}, "no column 'nope' (data.columns: {query: nope}), expec"),
        ({"columns": {}}, "say which it is with data.columns: {passage: NAME}"),
        ({"time_field": "when"}, "data.split_by = time: no query has the field 'when'; data.time_"),
        ({"format": "flagembedding"}, "data.columns: {query: question}: FlagEmbedding says itself"),
    ],
)
def test_what_a_config_says_of_the_data_is_refused_by_its_keys(
    tmp_path: Path, data: dict[str, Any], line: str
) -> None:
    path = rows(tmp_path / "rows.jsonl")
    config = Config.model_validate({"dataset": str(path), "data": {**DATA, **data}})
    with pytest.raises(InputError, match=re.escape(line)):
        done(import_request, Place(tmp_path / "s", "tiny", "prepare"), configured_request(config))


@pytest.mark.parametrize(("grades", "version"), [({}, 3), ({"label": 1}, 4)])
def test_only_labelled_data_of_hugging_face_have_a_new_version(
    tmp_path: Path, grades: dict[str, int], version: int
) -> None:
    records = [{"anchor": f"w{n} ?", "positive": f"w{n} " * (n + 1), **grades} for n in range(20)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    request = Request.checked("huggingface", str(path), [], {"dev_share": 0.2, "gate_share": 0.5})
    place = Place(tmp_path / "store", "tiny", "prepare")
    found = place.open().manifest(done(import_request, place, request))
    assert found.recipe == version


@pytest.mark.parametrize("split", [None, "dev"])
def test_data_that_change_while_they_are_read_are_refused(
    beir_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str | None
) -> None:
    folder = Path(shutil.copytree(beir_folder, tmp_path / "data"))
    corpus = folder / "corpus.jsonl"

    def changing(read: Any) -> Any:
        def read_and_change(*arguments: Any, **options: Any) -> Any:
            found = read(*arguments, **options)
            corpus.write_text(corpus.read_text() + "\n")
            return found

        return read_and_change

    for name in ("import_files", "import_split"):
        monkeypatch.setattr(importing, name, changing(getattr(importing, name)))
    place = Place(str(tmp_path / "store"), "tiny", "prepare")
    stage: Any = import_beir_split if split else import_request
    said = [folder, split] if split else [beir_request(folder, SplitRule())]
    with pytest.raises(InputError, match=r"corpus\.jsonl: changed while it was read; import it"):
        done(stage, place, *said)
    assert place.open().artifacts() == []


def test_what_is_said_of_files_is_refused_beside_an_imported_data_set(tmp_path: Path) -> None:
    place = Place(tmp_path / "store", "tiny", "prepare")
    dataset = ArtifactRef("dataset", "0123456789abcdef", "0" * 64)
    config = Config.model_validate({"dataset": dataset.id, "data": {"chunk_words": 50}})
    with pytest.raises(InputError, match=r"data.chunk_words: dataset 0123456789abcdef is imported"):
        import_dataset(place, config)
    assert with_values(config, in_store(dataset)).data.said() == {}
