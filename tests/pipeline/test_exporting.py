"""Exports of mined negatives, read back by those who read such files."""

import json
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.cross_encoder.data_collator import CrossEncoderDataCollator

from strop.artifacts.schemas import NEGATIVES, SELECTION
from strop.pipeline.data.exporting import EXPORTS, Export, Group, Passage, read_groups
from strop.pipeline.data.importing import Request, import_files
from strop.pipeline.errors import InputError
from strop.pipeline.first_stage.run_file import read_run


def passage(name: str, score: float | None, title: str = "") -> Passage:
    return Passage(name, title, f"text of {name}", score)


def test_groups_have_texts_and_scores_in_as_many_decimals_as_they_hold() -> None:
    negative = {"passage_id": "b", "score": 0.1, "sampler": "hard", "weight": 1.0}
    row = {"query_id": "q", "positives": [{"passage_id": "a"}], "negatives": [negative]}
    mined = {"query_id": "q", "passage_id": "a", "mining_score": -2.7, "decision": "positive"}
    queries = pa.table({"query_id": ["q"], "text": ["first"]})
    corpus = pa.table({"passage_id": ["a", "b"], "title": ["A", ""], "text": ["good", "bad"]})
    negatives = pa.Table.from_pylist([row], schema=NEGATIVES.remove_metadata())
    selection = pa.Table.from_pylist([mined], schema=SELECTION)
    (group,) = read_groups(negatives, selection, queries, [corpus])
    assert group == Group(
        "q", "first", [Passage("a", "A", "good", -2.7)], [Passage("b", "", "bad", 0.1)]
    )


GROUPS = [
    Group("q1", "first «query»", [passage("a", 4.5, "A")],
          [passage("b", 2.25), passage("c", -1.5)]),
    Group("q2", "second", [passage("b", 3.0), passage("d", 2.0)],
          [passage("a", 1.0, "A"), passage("c", None)]),
    Group("q3", "third", [passage("c", 1.0)], [passage("d", 0.5)]),
]  # fmt: skip


def export(
    name: str, *, scores: bool = False, groups: list[Group] = GROUPS
) -> tuple[list[str], dict[str, int]]:
    found = Export(groups, scores)
    return list(found.lines(name)), dict(found.left_out)


def loaded(tmp_path: Path, name: str, *, scores: bool = False) -> datasets.Dataset:
    path = tmp_path / "train.jsonl"
    path.write_text("".join(f"{line}\n" for line in export(name, scores=scores)[0]), "utf-8")
    return datasets.load_dataset(
        "json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )


def test_flagembedding_has_the_field_s_layout_and_scores_where_all_are_known() -> None:
    lines, left_out = export("flagembedding")
    assert json.loads(lines[0]) == {
        "query": "first «query»",
        "pos": ["A text of a"],
        "neg": ["text of b", "text of c"],
        "pos_scores": [4.5],
        "neg_scores": [2.25, -1.5],
    }
    assert "«query»" in lines[0]
    assert "neg_scores" not in lines[1]
    assert left_out == {"lines' scores": 1}
    scored, left_out = export("flagembedding", scores=True)
    assert scored == [lines[0], lines[2]]
    assert left_out == {"queries without all scores": 1}


def test_flagembedding_comes_back_as_it_went(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("".join(f"{line}\n" for line in export("flagembedding")[0]))
    request = Request.checked("flagembedding", str(path), [], {"dev_share": 0.4, "gate_share": 0})
    found = import_files(request, write_corpus=lambda table: None)
    assert found.summary["judgements"] == 4
    assert found.candidates.num_rows == 5 + 2  # negatives, and positives that have scores
    assert set(found.queries["text"].to_pylist()) == {"first «query»", "second", "third"}


@pytest.mark.parametrize("scores", [False, True])
def test_triplets_are_read_by_datasets_and_collated_for_training(
    tmp_path: Path, bi_encoder_folder: Path, *, scores: bool
) -> None:
    dataset = loaded(tmp_path, "st-triplet", scores=scores)
    assert dataset.column_names == [
        "anchor",
        "positive",
        "negative",
        *(["scores"] if scores else []),
    ]
    assert len(dataset) == (2 + 2 + 1 if scores else 2 + 4 + 1)
    model = SentenceTransformer(str(bi_encoder_folder), device="cpu")
    from sentence_transformers.sentence_transformer.data_collator import (
        SentenceTransformerDataCollator,
    )

    batch = SentenceTransformerDataCollator(model.preprocess)([dataset[0], dataset[1]])
    assert {"anchor_input_ids", "positive_input_ids", "negative_input_ids"} <= set(batch)
    if scores:
        assert batch["label"].tolist() == [[4.5, 2.25], [4.5, -1.5]]


def test_tuples_have_the_commonest_width_and_say_who_has_fewer(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, "st-ntuple")
    assert dataset.column_names == ["anchor", "positive", "negative_1", "negative_2"]
    assert dataset["positive"][:] == ["A text of a", "text of b", "text of d"]
    assert export("st-ntuple")[1] == {"queries with fewer negatives": 1}


def test_labeled_lists_feed_the_cross_encoder_s_collator(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, "st-labeled-list")
    assert dataset[0] == {
        "query": "first «query»",
        "docs": ["A text of a", "text of b", "text of c"],
        "labels": [1, 0, 0],
    }
    batch = CrossEncoderDataCollator(preprocess_fn=None)([dataset[0], dataset[2]])
    assert [label.tolist() for label in batch["label"]] == [[1, 0, 0], [1, 0]]
    lines, left_out = export("st-labeled-list", scores=True)
    assert json.loads(lines[0])["scores"] == [4.5, 2.25, -1.5]
    assert left_out == {"rows without a score": 1}


def test_tevatron_keeps_ids_titles_and_scores(tmp_path: Path) -> None:
    row = loaded(tmp_path, "tevatron")[0]
    assert row["query_id"] == "q1"
    assert row["positive_passages"] == [
        {"docid": "a", "title": "A", "text": "text of a", "score": 4.5}
    ]
    assert [one["docid"] for one in row["negative_passages"]] == ["b", "c"]


def test_the_run_is_read_as_a_run_file(tmp_path: Path) -> None:
    lines, left_out = export("trec-run")
    assert lines[:2] == ["q1 Q0 b 1 2.25 strop", "q1 Q0 c 2 -1.5 strop"]
    assert left_out == {"rows without a score": 1}
    (tmp_path / "x.run").write_text("\n".join(lines) + "\n")
    run, _ = read_run(tmp_path / "x.run")
    assert run["passage_id"].to_pylist() == ["b", "c", "a", "d"]
    spaced = [Group("q 1", "x", [], [passage("a", 1.0)])]
    assert export("trec-run", groups=spaced) == ([], {"rows with white space in an id": 1})


def test_the_same_groups_give_the_same_lines_and_an_unknown_format_lists_all() -> None:
    for name in EXPORTS:
        assert export(name) == export(name)
    with pytest.raises(InputError, match="--format st: unknown, expected one of flagembedding, st"):
        export("st")


def test_no_groups_are_no_lines() -> None:
    for name in EXPORTS:
        assert export(name, groups=[]) == ([], {})
