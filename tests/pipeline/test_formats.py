"""Every format becomes the same tables; worked examples that one can check by hand."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.pipeline.data.imported import Imported
from strop.pipeline.data.importing import Request, import_files
from strop.pipeline.data.passages import text_id
from strop.pipeline.data.readers.options import COLUMNS, read_columns
from strop.pipeline.data.splits import SplitRule
from strop.pipeline.data.validation import InvalidData
from strop.pipeline.errors import InputError

RULE = {"dev_share": 0.3, "gate_share": 0.5}
TOPICS = ("apples", "boats", "clouds", "doors", "eels", "forts", "goats", "hats", "inns", "jars")


def load(kind: str, path: Any, *columns: str, **rule: Any) -> tuple[Imported, dict[str, str]]:
    """The tables and the passages' texts by id."""
    batches: list[pa.Table] = []
    request = Request.checked(kind, str(path), list(columns), {**RULE, **rule})
    found = import_files(request, write_corpus=batches.append)
    corpus = pa.concat_tables(batches)
    return found, dict(
        zip(corpus["passage_id"].to_pylist(), corpus["text"].to_pylist(), strict=True)
    )


def refusal(kind: str, path: Any, *columns: str, **rule: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(kind, path, *columns, **rule)
    return str(caught.value)


def positives(found: Imported, texts: dict[str, str]) -> set[tuple[str, str, int]]:
    """(query, passage, grade) by their texts."""
    query = dict(
        zip(*(found.queries[name].to_pylist() for name in ("query_id", "text")), strict=True)
    )
    return {
        (query[row["query_id"]], texts[row["passage_id"]], row["grade"])
        for row in found.qrels.to_pylist()
    }


def pool(found: Imported, texts: dict[str, str]) -> list[tuple[str, str, int, float]]:
    query = dict(
        zip(*(found.queries[name].to_pylist() for name in ("query_id", "text")), strict=True)
    )
    return [
        (query[row["query_id"]], texts[row["passage_id"]], row["rank"], round(row["score"], 3))
        for row in found.candidates.to_pylist()
    ]


def lines(path: Path, records: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def triples(**more: Any) -> list[dict[str, Any]]:
    return [
        {"query": f"what are {topic}", "pos": [f"{topic} are things"], "neg": ["nothing"], **more}
        for topic in TOPICS
    ]


EXPECTED = {(f"what are {topic}", f"{topic} are things", 1) for topic in TOPICS}


def test_flagembedding_negatives_are_a_pool_with_their_scores(tmp_path: Path) -> None:
    records = triples(pos_scores=[9.5], neg_scores=[-2.5], prompt="Find the answer")
    records[0] |= {"neg": ["nothing", "apples are fruit"], "neg_scores": [-1, 3]}
    found, texts = load("flagembedding", lines(tmp_path / "train.jsonl", records))
    assert positives(found, texts) == EXPECTED
    assert pool(found, texts)[:3] == [
        ("what are apples", "apples are things", 1, 9.5),
        ("what are apples", "apples are fruit", 2, 3.0),
        ("what are apples", "nothing", 3, -1.0),
    ]
    assert found.summary["merged_passages"] == 9  # "nothing" is one passage of ten records
    assert found.summary["passages"] == 12
    assert found.summary["prompts"] == ["Find the answer"]
    assert text_id("p", "nothing") in texts


def test_a_positive_that_is_a_negative_too_keeps_its_score(tmp_path: Path) -> None:
    records = triples(pos_scores=[9.5], neg_scores=[-2.5])
    records[3] |= {"neg": ["doors are things", "doors shut"], "neg_scores": [-4.5, 1]}
    found, texts = load("flagembedding", lines(tmp_path / "train.jsonl", records))
    assert positives(found, texts) == EXPECTED
    told = {
        texts[row["passage_id"]]: row["score"]
        for row in found.teacher_scores.to_pylist()
        if texts[row["passage_id"]].startswith("doors")
    }
    assert told == {"doors are things": 9.5, "doors shut": 1}
    (warning,) = found.warnings
    assert "train.jsonl line 4: " in warning
    assert "have the score -4.5, and 9.5 before, which counts" in warning
    records[3]["neg_scores"] = [9.5, 1]
    found, _ = load("flagembedding", lines(tmp_path / "train.jsonl", records))
    assert not found.warnings


def test_without_scores_the_pool_keeps_the_order(tmp_path: Path) -> None:
    found, texts = load(
        "flagembedding", lines(tmp_path / "t.jsonl", triples(neg=["first", "second"]))
    )
    assert pool(found, texts)[:2] == [
        ("what are apples", "first", 1, -1.0),
        ("what are apples", "second", 2, -2.0),
    ]


def test_a_flagembedding_record_says_group_weight_and_fields(tmp_path: Path) -> None:
    records = triples(weight=0.25, language="en")
    for number, record in enumerate(records):
        record["group_id"] = f"g{number // 2}"
    found, _ = load("flagembedding", lines(tmp_path / "t.jsonl", records))
    queries = found.queries.to_pylist()
    assert {row["weight"] for row in queries} == {0.25}
    assert found.query_fields.to_pylist()[0] == {
        "query_id": queries[0]["query_id"],
        "field": "language",
        "value": "en",
    }
    split_by_group: dict[str, set[str]] = {}
    for row in queries:
        split_by_group.setdefault(row["group_id"], set()).add(row["split"])
    assert len(split_by_group) == 5
    assert all(len(splits) == 1 for splits in split_by_group.values())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"pos": "one text"}, "line 3: field 'pos' is 'one text', expected a list of texts"),
        ({"pos": []}, "line 3: field 'pos' is empty, expected a list of texts"),
        ({"neg": ["x", 7]}, "line 3: field 'neg' has 7 at 1, expected a text"),
        ({"neg": ["x", " "]}, "line 3: field 'neg' has ' ' at 1, expected a text"),
        ({"query": None}, "line 3: field 'query' is None, expected a text"),
        ({"pos_scores": [1, 2]}, "line 3: field 'pos_scores' has 2 numbers, expected 1, one a"),
        ({"neg_scores": [float("nan")]}, "line 3: field 'neg_scores' has nan, expected finite"),
        ({"neg_scores": 4}, "line 3: field 'neg_scores' is 4, expected a list of numbers"),
        ({"weight": 0}, "line 3: field 'weight' is 0, expected a number above 0"),
        ({"weight": 1e-50}, "field 'weight' is 1e-50, expected a number above 1.2e-38, which"),
        ({"prompt": "\ud800"}, "line 3: field 'prompt' is '\\ud800', expected a text"),
    ],
)
def test_a_bad_flagembedding_field_is_named(
    tmp_path: Path, change: dict[str, Any], expected: str
) -> None:
    records = triples()
    records[2] |= change
    assert expected in refusal("flagembedding", lines(tmp_path / "train.jsonl", records))


def trec(folder: Path) -> Path:
    (folder / "collection.tsv").write_text("".join(f"d{t}\t{t} are things\n" for t in TOPICS))
    (folder / "topics.tsv").write_text(
        "".join(f"{n}\twhat are {t}\n" for n, t in enumerate(TOPICS))
    )
    (folder / "qrels.txt").write_text("".join(f"{n} 0 d{t} 1\n" for n, t in enumerate(TOPICS)))
    return folder


def test_trec_tables_of_tabs(tmp_path: Path) -> None:
    found, texts = load("trec", trec(tmp_path))
    assert positives(found, texts) == EXPECTED
    assert sorted(found.queries["query_id"].to_pylist()) == [str(n) for n in range(10)]


def test_trec_marked_documents_and_topics(tmp_path: Path) -> None:
    folder = trec(tmp_path)
    (folder / "collection.tsv").unlink()
    (folder / "topics.tsv").unlink()
    (folder / "docs.trec").write_text(
        "".join(
            f"<DOC>\n<DOCNO> d{topic} </DOCNO>\n<HEADLINE>On {topic} &amp; more</HEADLINE>\n"
            f"<TEXT>\n<P>{topic} are\nthings</P>\n</TEXT>\n</DOC>\n"
            for topic in TOPICS
        )
    )
    (folder / "topics.txt").write_text(
        "".join(
            f"<top>\n<num> Number: {number}\n<title> what are {topic}\n<desc> Description:\n"
            "anything else\n</top>\n\n"
            for number, topic in enumerate(TOPICS)
        )
    )
    found, texts = load("trec", folder)
    assert positives(found, texts) == EXPECTED


def test_trec_splits_are_in_the_names_and_jsonl_collections_are_read(tmp_path: Path) -> None:
    folder = trec(tmp_path)
    (folder / "collection.tsv").unlink()
    lines(
        folder / "collection.jsonl",
        [{"id": f"d{topic}", "contents": f"{topic} are things"} for topic in TOPICS],
    )
    every = (folder / "qrels.txt").read_text().splitlines(keepends=True)
    (folder / "qrels.txt").unlink()
    (folder / "qrels.train.txt").write_text("".join(every[:6]))
    (folder / "qrels-dev.txt").write_text("".join(every[6:8]))
    (folder / "qrels_test.txt").write_text("".join(every[8:]))
    found, texts = load("trec", folder)
    assert positives(found, texts) == EXPECTED
    counts = [found.summary[f"{split}_queries"] for split in ("train", "dev", "gate", "test")]
    assert counts == [6, 1, 1, 2]


PAIRS = {
    "anchor": [q for q, _, _ in sorted(EXPECTED)],
    "positive": [p for _, p, _ in sorted(EXPECTED)],
}
LAYOUTS: dict[str, dict[str, list[Any]]] = {
    "pair": PAIRS,
    "pair in order": {"a": PAIRS["anchor"], "b": PAIRS["positive"]},
    "triplet": {**PAIRS, "negative": ["nothing"] * 10},
    "n-tuple": {**PAIRS, "negative_1": ["nothing"] * 10, "negative_2": ["no"] * 10},
    "n-tuple in order": {
        "a": PAIRS["anchor"], "b": PAIRS["positive"], "c": ["nothing"] * 10, "d": ["no"] * 10
    },
    "labelled pair": {
        "query": PAIRS["anchor"] * 2,
        "answer": [*PAIRS["positive"], *["nothing"] * 10],
        "label": [1] * 10 + [0] * 10,
    },
    "labelled list": {
        "query": PAIRS["anchor"],
        "docs": [[text, "nothing", "no"] for text in PAIRS["positive"]],
        "labels": [[1, 0, 0]] * 10,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("saved", ["to_parquet", "save_to_disk"])
def test_hugging_face_layouts(tmp_path: Path, name: str, saved: str) -> None:
    dataset = datasets.Dataset.from_dict(LAYOUTS[name])
    path = tmp_path / ("train.parquet" if saved == "to_parquet" else "folder")
    getattr(dataset, saved)(str(path))
    found, texts = load("huggingface", path)
    assert positives(found, texts) == EXPECTED
    mined = {text for _, text, _, _ in pool(found, texts)}
    several = name.startswith("n-tuple") or name == "labelled list"
    assert mined == (
        set() if name.startswith("pair") else {"nothing"} | ({"no"} if several else set())
    )


def test_labels_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    labelled = LAYOUTS["labelled pair"]
    again = {name: [*values, values[0]] for name, values in labelled.items()} | {
        "label": [*labelled["label"], 0]
    }
    pq.write_table(pa.table(again), tmp_path / "train.parquet")
    told = refusal("huggingface", tmp_path)
    assert "row 21: query" in told
    assert "judged with grade 0, and with grade 1 in" in told


def test_grade_0_of_a_table_is_a_judgement_and_a_candidate(tmp_path: Path) -> None:
    pq.write_table(pa.table(LAYOUTS["labelled pair"]), tmp_path / "train.parquet")
    found, texts = load("table", tmp_path)
    judged = {(f"what are {topic}", "nothing", 0) for topic in TOPICS}
    assert positives(found, texts) == EXPECTED | judged
    assert {text for _, text, _, _ in pool(found, texts)} == {"nothing"}


@pytest.mark.parametrize(
    "of_dev", [{"validation": [6, 7]}, {"val": [6], "gate": [7]}, {"eval": [6, 7]}]
)
def test_hugging_face_splits_of_a_saved_dataset_dict(
    tmp_path: Path, of_dev: dict[str, list[int]]
) -> None:
    whole = datasets.Dataset.from_dict(PAIRS)
    parts = {"train": whole.select(range(6)), "test": whole.select([8, 9])}
    parts |= {name: whole.select(rows) for name, rows in of_dev.items()}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "d"))
    found, texts = load("huggingface", tmp_path / "d")
    assert positives(found, texts) == EXPECTED
    assert [found.summary[f"{s}_queries"] for s in ("train", "dev", "gate", "test")] == [6, 1, 1, 2]


def test_a_hub_name_without_a_network_is_refused_in_one_line(monkeypatch: Any) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    found = refusal("huggingface", "nobody-here/no-such-data")
    assert "neither a folder nor to be had from the Hugging Face Hub" in found
    assert "\n" not in found


def test_a_float_column_named_score_must_be_said_to_be_one(tmp_path: Path) -> None:
    table = {"sentence": PAIRS["anchor"], "other": PAIRS["positive"], "score": [0.5] * 10}
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table(table), path)
    assert "say which with --column grade=score or --column score=score" in refusal(
        "huggingface", path
    )
    found, texts = load("huggingface", path, "score=score")
    assert pool(found, texts)[0][2:] == (1, 0.5)
    refused = refusal("huggingface", path, "grade=score")
    assert "row 1: field 'score' is 0.5, expected a whole number" in refused


ROWS = [
    {
        "qid": f"q{number}",
        "question": f"what are {topic}",
        "did": f"d{topic}",
        "body": f"{topic} are things",
        "head": topic.title(),
        "rel": 2,
        "part": "train" if number < 6 else "validation",
        "asked": 2000 + number,
    }
    for number, topic in enumerate(TOPICS)
]
NAMED = ("query=question", "query_id=qid", "passage=body", "passage_id=did", "title=head",
         "grade=rel", "split=part")  # fmt: skip


def write_rows(path: Path) -> Path:
    if path.suffix == ".jsonl":
        return lines(path, ROWS)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
        return path
    separator = "," if path.suffix == ".csv" else "\t"
    table = [list(ROWS[0]), *(list(map(str, row.values())) for row in ROWS)]
    path.write_text("".join(separator.join(row) + "\n" for row in table))
    return path


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet", "rows.csv", "rows.tsv"])
def test_tables_with_named_columns(tmp_path: Path, name: str) -> None:
    found, texts = load("table", write_rows(tmp_path / name), *NAMED)
    assert positives(found, texts) == {(query, text, 2) for query, text, _ in EXPECTED}
    assert set(texts) == {f"d{topic}" for topic in TOPICS}
    assert [found.summary[f"{s}_queries"] for s in ("train", "dev", "gate")] == [6, 2, 2]
    assert ("q0", "asked", "2000") in {
        tuple(row.values()) for row in found.query_fields.to_pylist()
    }


def test_a_column_that_is_not_there_or_not_said_is_named(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.csv")
    assert "no column 'texts' (--column passage=texts), expected one of 'qid'" in refusal(
        "table", path, "passage=texts"
    )
    assert "no column for the query among 'qid', 'question'" in refusal(
        "table", lines(tmp_path / "rows.jsonl", [{"qid": 1, "question_text": "x", "body": "y"}])
    ).replace("'question_text'", "'question'")
    assert "'text' is unknown, expected one of" in refusal("table", path, "text=body")
    assert read_columns([f"{name}=x" for name in COLUMNS]) == dict.fromkeys(COLUMNS, "x")


def test_json_records_may_leave_optional_columns_out(tmp_path: Path) -> None:
    records = [
        {"query": f"what are {topic}", "passage": f"{topic} are things"}
        | ({"group_id": f"g{number // 2}", "negative": "nothing", "note": "x"} if number else {})
        for number, topic in enumerate(TOPICS)
    ]
    path = lines(tmp_path / "rows.jsonl", records)
    for columns in ((), ("group_id=group_id", "negative=negative")):
        found, texts = load("table", path, *columns)
        assert found.queries["group_id"].to_pylist()[1:4] == ["g0", "g1", "g1"]
        assert [text for _, text, _, _ in pool(found, texts)] == ["nothing"] * 9
        assert set(found.query_fields["field"].to_pylist()) == {"note"}


def test_a_column_that_comes_after_the_first_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strop.pipeline.data.readers.rows.FIRST_ROWS", 4)
    records = [{"query": f"what are {t}", "passage": f"{t} are things"} for t in TOPICS]
    records[7]["note"] = "a field of the query alone"
    assert load("table", lines(tmp_path / "rows.jsonl", records))[0].query_fields.num_rows == 1
    records[8]["split"] = "test"
    told = refusal("table", lines(tmp_path / "rows.jsonl", records))
    assert "rows.jsonl line 9: 'split' in none of the first 4 rows, expected in one of" in told
    records[8] = {**records[7], "score": 1}
    told = refusal("table", lines(tmp_path / "rows.jsonl", records))
    assert "line 9: 'score' in none of the first 4 rows" in told, "a grade or a teacher's score"


@pytest.mark.parametrize("separator", [",", "\t"])
def test_optional_cells_of_csv_may_be_empty(tmp_path: Path, separator: str) -> None:
    table = [["query", "passage", "negative", "group_id", "weight", "title"]]
    table += [[f"what are {t}", f"{t} are things", *[""] * 4] for t in TOPICS[1:]]
    table += [["what are apples", "apples are things", "nothing", "g", "0.5", "Apples"]]
    path = tmp_path / ("rows.csv" if separator == "," else "rows.tsv")
    path.write_text("".join(separator.join(row) + "\n" for row in table))
    found, texts = load("table", path)
    assert found.queries["weight"].to_pylist() == [1.0] * 9 + [0.5]
    queries = found.queries.to_pylist()
    assert [row["group_id"] == row["query_id"] for row in queries] == [True] * 9 + [False]
    assert [text for _, text, _, _ in pool(found, texts)] == ["nothing"]
    records = [{"query": "what are apples", "passage": "apples are things", "group_id": ""}]
    told = refusal("table", lines(tmp_path / "rows.jsonl", records))
    assert "line 1: field 'group_id' is '', expected a text" in told


@pytest.mark.parametrize("bad", ["a\n0", "a\tb", " ", "\ud800", None, 1.5, True])
def test_ids_in_a_list_are_as_good_as_single_ones(tmp_path: Path, bad: Any) -> None:
    records = [
        {"query": f"what are {topic}", "passage": [f"{topic} are things", f"{topic} again"],
         "passage_id": [f"d{topic}", number], "label": [1, 0]}
        for number, topic in enumerate(TOPICS)
    ]  # fmt: skip
    path = lines(tmp_path / "rows.jsonl", records)
    assert set(load("table", path)[1]) == {f"d{t}" for t in TOPICS} | set(map(str, range(10)))
    records[3]["passage_id"] = ["fine", bad]
    told = refusal("table", lines(path, records))
    assert f"line 4: field 'passage_id' has {bad!r} at 1, expected a text without line" in told
    assert "has 0 ids" not in told


def test_grades_in_a_list_are_as_small_as_single_ones(tmp_path: Path) -> None:
    texts, topics = [[f"{topic} are things", f"{topic} again"] for topic in TOPICS], list(TOPICS)
    for largest in (10**9 - 1, 10**9):
        labels = [[1, largest]] * 10
        path = tmp_path / "rows.parquet"
        pq.write_table(pa.table({"query": topics, "passage": texts, "label": labels}), path)
        if largest < 10**9:
            assert max(load("table", path)[0].qrels["grade"].to_pylist()) == largest
        else:
            assert "row 1: field 'label' is [1, 1000000000], expected whole numbers" in refusal(
                "table", path
            )


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (10**15, pa.timestamp("s")),
        (2**31 - 1, pa.date32()),
        (2**62, pa.duration("s")),
        (10**9, pa.timestamp("s", "Mars/Phobos")),
    ],
)
def test_a_value_that_python_cannot_hold_is_refused_by_its_column(
    tmp_path: Path, value: int, kind: pa.DataType
) -> None:
    path = tmp_path / "rows.parquet"
    asked = pa.array([None, None, value, *[None] * 7], kind)
    pq.write_table(pa.table({**LAYOUTS["pair"], "asked": asked}), path)
    told = refusal("table", path)
    assert f"rows.parquet row 3: field 'asked', of type {str(kind)[:6]}" in told
    assert "dates of the years 1 to 9999; cast or remove the column" in told


def test_tables_of_corpus_queries_and_qrels(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"_id": [row["did"] for row in ROWS], "text": [row["body"] for row in ROWS],
                  "parent_id": ["book"] * 10}), tmp_path / "corpus-00.parquet"
    )  # fmt: skip
    lines(
        tmp_path / "queries.jsonl", [{"_id": row["qid"], "text": row["question"]} for row in ROWS]
    )
    for split, rows in (("train", ROWS[:6]), ("test", ROWS[6:])):
        text = "".join(f"{row['qid']},{row['did']},1\n" for row in rows)
        (tmp_path / f"qrels.{split}.csv").write_text(f"query-id,corpus-id,score\n{text}")
    found, texts = load("table", tmp_path)
    assert positives(found, texts) == EXPECTED
    assert [found.summary[f"{s}_queries"] for s in ("train", "dev", "gate", "test")] == [4, 1, 1, 4]


def test_an_id_with_two_texts_is_an_error_and_with_one_a_repetition(tmp_path: Path) -> None:
    again = {**ROWS[0], "question": "what are apples, then", "qid": "other"}
    found, _ = load("table", lines(tmp_path / "a.jsonl", [*ROWS, again]), *NAMED)
    assert found.summary["merged_passages"] == 1
    bad = [*ROWS, {**again, "body": "another text"}, {**ROWS[1], "question": "another?"}]
    told = refusal("table", lines(tmp_path / "b.jsonl", bad), *NAMED)
    assert "b.jsonl line 11: passage id 'dapples' was used before with another text" in told
    assert "b.jsonl line 12: query id 'q1' was used before with another text" in told


def beir(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    lines(folder / "corpus.jsonl", [{"_id": row["did"], "text": row["body"]} for row in ROWS])
    records = [{"_id": row["qid"], "text": row["question"]} for row in ROWS]
    lines(folder / "queries.jsonl", records)
    text = "".join(f"{row['qid']}\t{row['did']}\t1\n" for row in ROWS)
    (folder / "qrels" / "train.tsv").write_text(text)
    return folder


def test_compressed_files_and_uris_read_as_plain_ones_do(tmp_path: Path) -> None:
    plain = beir(tmp_path / "plain")
    expected, _ = load("beir", plain)
    packed = beir(tmp_path / "packed")
    for name, ending in (("corpus.jsonl", ".gz"), ("queries.jsonl", ".zst")):
        data = (packed / name).read_bytes()
        (packed / name).unlink()
        whole = gzip.compress(data) if ending == ".gz" else pa.compress(data, "zstd", asbytes=True)
        (packed / f"{name}{ending}").write_bytes(whole)
    fsspec.filesystem("memory").put(str(packed), "/strop-test", recursive=True)
    for place in (packed, f"file://{plain}", "memory://strop-test"):
        found, texts = load("beir", place)
        assert found.queries.equals(expected.queries)
        assert found.qrels.equals(expected.qrels)
        assert len(texts) == 10
    assert "cannot be reached" in refusal("beir", "nonsense://bucket/data")
    assert "no such folder" in refusal("beir", f"file://{tmp_path}/nowhere")


def test_beir_takes_weights_and_parents_where_a_person_names_them(tmp_path: Path) -> None:
    folder = beir(tmp_path / "b")
    lines(
        folder / "queries.jsonl",
        [{"_id": r["qid"], "text": r["question"], "metadata": {"trust": 0.5}} for r in ROWS],
    )
    lines(folder / "corpus.jsonl", [{"_id": r["did"], "text": r["body"], "doc": 1} for r in ROWS])
    batches: list[pa.Table] = []
    request = Request.checked("beir", str(folder), ["weight=trust", "parent_id=doc"], RULE)
    found = import_files(request, write_corpus=batches.append)
    assert set(found.queries["weight"].to_pylist()) == {0.5}
    assert set(batches[0]["parent_id"].to_pylist()) == {"1"}
    assert "BEIR says itself which field that is" in refusal("beir", folder, "query=text")


@pytest.mark.parametrize("place", ["record", "metadata"])
def test_beir_takes_groups_where_a_person_names_them(tmp_path: Path, place: str) -> None:
    folder = beir(tmp_path / "b")
    records = [
        {"_id": row["qid"], "text": row["question"],
         **({"session": n // 2} if place == "record" else {"metadata": {"session": n // 2}})}
        for n, row in enumerate(ROWS)
    ]  # fmt: skip
    lines(folder / "queries.jsonl", [*records[:-1], {"_id": "q9", "text": "what are jars"}])
    found, _ = load("beir", folder, "group_id=session")
    groups = ["0", "0", "1", "1", "2", "2", "3", "3", "4", "q9"]
    assert found.queries["group_id"].to_pylist() == groups
    assert found.query_fields.num_rows == 0


def test_a_named_field_that_no_record_has_is_refused(tmp_path: Path) -> None:
    folder = beir(tmp_path / "b")
    told = refusal("beir", folder, "group_id=sesion", "weight=wieght", "parent_id=dok")
    for named in ("'sesion' (--column group_id=sesion)", "'wieght' (", "'dok' (--column parent_id"):
        assert f"no record has the field {named}" in told
    records = lines(tmp_path / "train.jsonl", triples(trust=0.5))
    assert set(load("flagembedding", records, "weight=trust")[0].queries["weight"].to_pylist()) == {
        0.5
    }
    assert "train.jsonl: no record has the field 'turst' (--column weight=turst)" in refusal(
        "flagembedding", records, "weight=turst"
    )


def test_an_unknown_format_lists_all(tmp_path: Path) -> None:
    assert refusal("jsonl", tmp_path) == (
        "format 'jsonl': unknown; expected beir, flagembedding, trec, huggingface, table"
    )


def test_every_kind_of_defect_is_reported_with_counts_and_examples(tmp_path: Path) -> None:
    records = triples()
    records[1] |= {"pos": "text"}
    records[2] |= {"pos": "text"}
    records[3] |= {"query": ""}
    with pytest.raises(InvalidData) as caught:
        load("flagembedding", lines(tmp_path / "train.jsonl", records))
    assert [(item["kind"], item["severity"], item["count"]) for item in caught.value.report] == [
        ("bad pos", "error", 2),
        ("bad query", "error", 1),
    ]
    assert "line 3" in caught.value.report[0]["examples"][1]


def test_passages_with_the_same_text_under_two_ids_are_a_warning(tmp_path: Path) -> None:
    folder = beir(tmp_path / "b")
    with (folder / "corpus.jsonl").open("a") as file:
        file.write('{"_id": "copy", "text": "apples are things"}\n')
    found, _ = load("beir", folder)
    assert found.summary["duplicate_passages"] == 1
    line, positive = found.warnings
    expected = {"duplicate text": 1, "positive with a duplicate": 1}
    assert found.summary["warnings"] == expected
    assert "train.tsv line 1: positive 'dapples' has the title and text of another" in positive
    assert "corpus.jsonl line 11: passage 'copy' has the title and text of an earlier one" in line


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(min_size=1).filter(str.strip), min_size=3, max_size=12, unique=True))
def test_any_text_comes_through_json_unchanged(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "train.jsonl"
    records = [{"query": f"{n} {'abcdefghijkl'[n]}", "pos": [text]} for n, text in enumerate(texts)]
    found, by_id = load("flagembedding", lines(path, records), dev_share=0.4, gate_share=0)
    assert set(by_id.values()) == set(texts)
    assert found.summary["judgements"] == len(texts)


def test_splits_are_cut_with_another_test_share(tmp_path: Path) -> None:
    found, _ = load("beir", beir(tmp_path / "b"), test_share=0.2)
    assert [found.summary[f"{s}_queries"] for s in ("train", "dev", "gate", "test")] == [6, 1, 1, 2]
    assert SplitRule().parameters() == {"dev_share": 0.1, "gate_share": 0.5, "seed": 1}


def test_by_source_queries_about_one_document_stay_together(tmp_path: Path) -> None:
    folder = beir(tmp_path / "b")
    records = [
        {"_id": r["did"], "text": r["body"], "doc": f"book{n // 2}"} for n, r in enumerate(ROWS)
    ]
    lines(folder / "corpus.jsonl", records)
    found, _ = load("beir", folder, "parent_id=doc", by="source", dev_share=0.4)
    split_by_source: dict[str, set[str]] = {}
    for row in found.queries.to_pylist():
        split_by_source.setdefault(row["group_id"], set()).add(row["split"])
    assert set(split_by_source) == {f"source book{n}" for n in range(5)}
    assert all(len(splits) == 1 for splits in split_by_source.values())


def test_by_source_queries_with_a_group_stay_together_by_document_too(tmp_path: Path) -> None:
    # Ten documents, each with two queries of users of their own, but for one user who asks of two.
    records = [
        {**record, "query": f"{record['query']} {who}", "group_id": f"{who} {number}"}
        for who in ("first", "second")
        for number, record in enumerate(triples())
    ]
    records[0]["group_id"] = records[1]["group_id"] = "of two"
    path = lines(tmp_path / "t.jsonl", records)
    for seed in range(4):
        found, _ = load("flagembedding", path, by="source", dev_share=0.4, seed=seed)
        split = dict(zip(*(found.queries[c].to_pylist() for c in ("text", "split")), strict=True))
        assert {"train", "dev", "gate"} <= set(split.values())
        for topic in TOPICS:
            assert split[f"what are {topic} first"] == split[f"what are {topic} second"]
        assert split["what are apples first"] == split["what are boats first"]
    groups = set(found.queries["group_id"].to_pylist())
    assert groups == {record["group_id"] for record in records}


def test_by_time_the_field_comes_from_the_data(tmp_path: Path) -> None:
    named = [name for name in NAMED if not name.startswith("split")]
    path = write_rows(tmp_path / "rows.parquet")
    found, _ = load("table", path, *named, by="time", time_field="asked", test_share=0.2)
    split = dict(zip(*(found.queries[c].to_pylist() for c in ("query_id", "split")), strict=True))
    assert {query for query, name in split.items() if name == "test"} == {"q8", "q9"}
    assert {query for query, name in split.items() if name in ("dev", "gate")} == {"q6", "q7"}


def test_queries_that_two_splits_have_are_counted(tmp_path: Path) -> None:
    lines(tmp_path / "a.train.jsonl", triples())
    lines(tmp_path / "test.jsonl", [*triples()[:2], {"query": "What are CLOUDS?", "pos": ["x"]}])
    found, _ = load("flagembedding", tmp_path)
    assert found.summary["judgements_of_queries_in_two_splits"] == 2
    assert found.summary["queries_left_out_as_duplicates"] == 1
    assert found.summary["test_queries"] == 3
    (warning,) = found.warnings
    assert "'what are clouds', is left out: it nearly repeats" in warning
    assert warning.endswith(" of test")
    assert [item["count"] for item in found.report] == [1]


def test_near_duplicates_are_cut_into_one_split_and_counted(tmp_path: Path) -> None:
    twins = [{"query": f"What are {topic.upper()}?", "pos": [f"{topic} 2"]} for topic in TOPICS]
    path = lines(tmp_path / "train.jsonl", [*triples(), *twins])
    for seed in range(3):
        found, _ = load("flagembedding", path, seed=seed)
        assert found.summary["near_duplicate_queries"] == 20
        splits: dict[str, set[str]] = {}
        for row in found.queries.to_pylist():
            splits.setdefault(row["text"].lower().rstrip("?"), set()).add(row["split"])
        assert len(splits) == 10
        assert all(len(both) == 1 for both in splits.values())
