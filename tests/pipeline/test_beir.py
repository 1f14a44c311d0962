import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest

from strop.artifacts.schemas import CORPUS, QRELS, QUERIES
from strop.pipeline.data.imported import Imported
from strop.pipeline.data.importing import Request, import_files, import_split
from strop.pipeline.data.locations import location
from strop.pipeline.data.splits import SplitRule
from strop.pipeline.data.validation import InvalidData
from strop.pipeline.data.wording import CONFIG
from strop.pipeline.errors import InputError

RULE = SplitRule(dev_share=0.5, gate_share=0.5, seed=1)


def request(folder: Path, rule: SplitRule = RULE) -> Request:
    return Request("beir", location(folder), rule=rule)


class Beir:
    """A BEIR folder with one good record of everything, for a test to spoil."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "qrels").mkdir()
        passages = [{"_id": f"p{i}", "title": "T", "text": f"passage {i}"} for i in range(4)]
        queries = [{"_id": f"q{i}", "text": f"query {i}"} for i in range(4)]
        self.write("corpus.jsonl", *map(json.dumps, passages))
        self.write("queries.jsonl", *map(json.dumps, queries))
        self.write("qrels/train.tsv", "query-id\tcorpus-id\tscore", "q0\tp0\t1", "q1\tp1\t2")
        self.write("qrels/dev.tsv", "query-id\tcorpus-id\tscore", "q2\tp2\t1", "q3\tp3\t1")

    def write(self, name: str, *lines: str) -> None:
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def append(self, name: str, line: str) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def load(self, rule: SplitRule = RULE) -> tuple[Imported, pa.Table]:
        batches: list[pa.Table] = []
        imported = import_files(request(self.folder, rule), write_corpus=batches.append)
        return imported, pa.concat_tables(batches)

    def defects(self) -> list[str]:
        with pytest.raises(InvalidData) as caught:
            self.load()
        return caught.value.lines


@pytest.fixture
def beir(tmp_path: Path) -> Beir:
    return Beir(tmp_path)


def test_single_values_of_the_metadata_are_fields(beir: Beir) -> None:
    metadata = {"language": "de", "year": 1999, "group_id": 7, "tags": ["a"], "empty": None}
    query = {"_id": "new", "text": "new", "metadata": metadata}
    beir.append("queries.jsonl", json.dumps(query))
    beir.append("qrels/train.tsv", "new\tp0\t1")
    imported, _ = beir.load()
    assert imported.query_fields.to_pylist() == [
        {"query_id": "new", "field": "language", "value": "de"},
        {"query_id": "new", "field": "year", "value": "1999"},
    ]
    assert imported.queries.to_pylist()[-1]["group_id"] == "7"


def test_a_good_folder_becomes_three_tables(beir: Beir) -> None:
    beir.append("queries.jsonl", '{"_id": "unjudged", "text": "nobody asked"}')
    imported, corpus = beir.load()
    assert corpus.schema == CORPUS
    assert corpus.to_pylist()[1] == {
        "passage_id": "p1",
        "title": "T",
        "text": "passage 1",
        "parent_id": None,
    }
    assert imported.queries.schema == QUERIES
    assert imported.queries["query_id"].to_pylist() == ["q0", "q1", "q2", "q3"]
    assert imported.qrels.schema == QRELS
    assert imported.qrels["grade"].to_pylist() == [1, 2, 1, 1]
    assert imported.summary == {
        "passages": 4,
        "train_queries": 2,
        "dev_queries": 1,
        "gate_queries": 1,
        "test_queries": 0,
        "judgements": 4,
        "queries_without_judgement": 1,
    }


def test_qrels_carry_the_split_that_was_cut(beir: Beir) -> None:
    imported, _ = beir.load()
    by_query = dict(
        zip(
            imported.queries["query_id"].to_pylist(),
            imported.queries["split"].to_pylist(),
            strict=True,
        )
    )
    assert sorted(by_query.values()) == ["dev", "gate", "train", "train"]
    assert [by_query[row["query_id"]] for row in imported.qrels.to_pylist()] == imported.qrels[
        "split"
    ].to_pylist()


def test_the_header_of_qrels_may_be_left_out(beir: Beir) -> None:
    beir.write("qrels/train.tsv", "q0\tp0\t1", "q1\tp1\t2")
    assert beir.load()[0].summary["train_queries"] == 2


def test_ids_may_be_whole_numbers_and_titles_null(beir: Beir) -> None:
    beir.append("corpus.jsonl", '{"_id": 7, "title": null, "text": "seven"}')
    beir.append("qrels/train.tsv", "q0\t7\t1")
    corpus = beir.load()[1].to_pylist()
    assert corpus[-1] == {"passage_id": "7", "title": "", "text": "seven", "parent_id": None}


def test_group_ids_come_from_the_metadata(beir: Beir) -> None:
    records = [
        {"_id": f"q{i}", "text": f"t{i}", "metadata": {"group_id": i // 2}} for i in range(3)
    ]
    beir.write("queries.jsonl", *map(json.dumps, [*records, {"_id": "q3", "text": "t3"}]))
    # All of dev's queries are q2 (group "1") and q3 (its own group).
    assert beir.load()[0].queries["group_id"].to_pylist() == ["0", "0", "1", "q3"]


@pytest.mark.parametrize("name", ["validation.tsv", "val.tsv.gz"])
def test_qrels_may_have_another_word_for_their_split(beir: Beir, name: str) -> None:
    expected = beir.load()[0]
    data = (beir.folder / "qrels/dev.tsv").read_bytes()
    (beir.folder / "qrels/dev.tsv").unlink()
    path = beir.folder / "qrels" / name
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    assert list(request(beir.folder).files())[2:] == ["qrels/train.tsv", "qrels/dev.tsv"]
    assert beir.load()[0].qrels.equals(expected.qrels)
    found = import_split(location(beir.folder), "dev", write_corpus=lambda table: None)
    assert found.queries["query_id"].to_pylist() == ["q2", "q3"]


def test_two_files_of_qrels_for_one_split_are_refused(beir: Beir) -> None:
    beir.write("qrels/validation.tsv", "q2\tp2\t1")
    told = r"qrels/validation\.tsv: dev is also in dev\.tsv; expected one file a split"
    with pytest.raises(InputError, match=told):
        beir.load()


def test_qrels_that_are_not_read_are_a_warning(beir: Beir) -> None:
    assert beir.load()[0].warnings == []
    beir.write("qrels/foo.tsv", "q0\tp0\t1")
    beir.write("qrels/notes.txt", "no qrels")
    imported, _ = beir.load()
    (told,) = imported.warnings
    assert told == (
        f"{beir.folder}/qrels/foo.tsv: not read; expected train.tsv, dev.tsv, gate.tsv or test.tsv"
    )
    assert imported.summary["warnings"] == {"qrels not read": 1}


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_a_missing_file_is_named_with_what_is_expected(beir: Beir, name: str) -> None:
    (beir.folder / name).unlink()
    with pytest.raises(InputError) as caught:
        beir.load()
    assert str(beir.folder / name) in str(caught.value)
    assert "a BEIR folder has corpus.jsonl, queries.jsonl and qrels/" in str(caught.value)


def test_no_qrels_and_no_folder_are_named(beir: Beir) -> None:
    for path in (beir.folder / "qrels").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"qrels: no qrels; expected train\.tsv"):
        beir.load()
    with pytest.raises(InputError, match="nowhere: no such folder; expected a data set in BEIR"):
        import_files(request(Path("nowhere")), write_corpus=lambda table: None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("corpus.jsonl", "corpus.jsonl: no passages; expected one JSON object a line"),
        ("queries.jsonl", "queries.jsonl: no queries; expected one JSON object a line"),
    ],
)
def test_an_empty_file_is_a_defect(beir: Beir, name: str, expected: str) -> None:
    beir.write(name)
    (line,) = beir.defects()
    assert line.endswith(expected)


@pytest.mark.parametrize("lines", [[], ["q2\tp2\t0", "q3\tp3\t-1"]])
def test_a_split_without_a_positive_is_a_defect(beir: Beir, lines: list[str]) -> None:
    beir.write("qrels/dev.tsv", "query-id\tcorpus-id\tscore", *lines)
    (line,) = beir.defects()
    assert "qrels/dev.tsv: no judgement has a grade above 0" in line
    assert "no query of dev can be measured" in line


BAD_LINES = [
    (
        "corpus.jsonl",
        '{"_id": "p1", "text": "again"}',
        "corpus.jsonl line 5: passage id 'p1' was used before; ids must be unique, rename or "
        "remove one",
    ),
    (
        "corpus.jsonl",
        '{"_id": "p9", "title": " ", "text": ""}',
        "corpus.jsonl line 5: passage 'p9' has neither title nor text; give it a text or remove "
        "the line",
    ),
    (
        "corpus.jsonl",
        '{"_id": "p9"}',
        "corpus.jsonl line 5: field 'text' is missing, expected a text",
    ),
    (
        "corpus.jsonl",
        '{"_id": ["p9"], "text": "x"}',
        "corpus.jsonl line 5: field '_id' is ['p9'], expected a text",
    ),
    (
        "corpus.jsonl",
        '{"_id": "p9", "text": "half a \\ud83d"}',
        "corpus.jsonl line 5: field 'text' is 'half a \\ud83d', expected a text",
    ),
    ("corpus.jsonl", '{"_id": "p9",', "corpus.jsonl line 5: not JSON ("),
    # In the shape of all the others, of which a whole block is read at once.
    (
        "corpus.jsonl",
        '{"_id": "a\\tb", "title": "T", "text": "a passage"}',
        "corpus.jsonl line 5: field '_id' is 'a\\tb', expected",
    ),
    (
        "corpus.jsonl",
        '{"_id": "p9", "title": "", "text": ""}',
        "corpus.jsonl line 5: passage 'p9' has neither title nor text; give it a text or remove",
    ),
    ("corpus.jsonl", '["p9"]', "corpus.jsonl line 5: list, expected a JSON object"),
    (
        "queries.jsonl",
        '{"_id": "q1", "text": "again"}',
        "queries.jsonl line 5: query id 'q1' was used before; ids must be unique",
    ),
    (
        "queries.jsonl",
        '{"_id": "q9", "text": " "}',
        "queries.jsonl line 5: field 'text' is ' ', expected a text",
    ),
    (
        "qrels/train.tsv",
        "q0\tp77\t1",
        "train.tsv line 4: passage 'p77' is not in the corpus (4 passages); remove the line or "
        "import the missing passage",
    ),
    (
        "qrels/train.tsv",
        "q77\tp0\t1",
        "train.tsv line 4: query 'q77' is not among the 4 queries; remove the line or "
        "add the query",
    ),
    (
        "qrels/train.tsv",
        "q0 p1 1",
        "train.tsv line 4: 1 tab-separated fields, expected query-id, corpus-id, score",
    ),
    (
        "qrels/train.tsv",
        "q0\t0\tp1\t1",
        "train.tsv line 4: 4 tab-separated fields, expected query-id, corpus-id, score",
    ),
    (
        "qrels/train.tsv",
        "q0\tp1\t0.5",
        "train.tsv line 4: field 'score' is '0.5', expected a whole number",
    ),
    (
        "qrels/train.tsv",
        "q0\tp1\t99999999999",
        "train.tsv line 4: field 'score' is '99999999999', expected a whole number",
    ),
    (
        "qrels/train.tsv",
        "q0\tp0\t1",
        "train.tsv line 4: query 'q0' and passage 'p0' are judged twice; remove one line",
    ),
    (
        "qrels/train.tsv",
        "q1\tp1\t0",
        "train.tsv line 4: query 'q1' and passage 'p1' are judged with grade 0, and with grade 2",
    ),
    (
        "qrels/dev.tsv",
        "q0\tp3\t1",
        "dev.tsv line 4: query 'q0' is also in train; a query belongs to one split, remove "
        "it from one",
    ),
]


@pytest.mark.parametrize(("name", "line", "expected"), BAD_LINES)
def test_a_bad_line_is_named_with_file_line_and_way_out(
    beir: Beir, name: str, line: str, expected: str
) -> None:
    beir.append(name, line)
    (found,) = beir.defects()
    assert found.startswith(f"{beir.folder}/")
    assert expected in found


def test_bytes_that_are_no_utf8_are_a_defect_not_a_crash(beir: Beir) -> None:
    (beir.folder / "qrels" / "train.tsv").write_bytes(b"q0\tp0\t1\nq\xff\tp1\t1\n")
    (found,) = beir.defects()
    assert "train.tsv line 2: b'q\\xff\\tp1\\t1', expected UTF-8 text" in found


def test_like_defects_are_counted_and_the_first_is_shown(beir: Beir) -> None:
    for passage in ("p77", "p78", "p79"):
        beir.append("qrels/train.tsv", f"q0\t{passage}\t1")
    (found,) = beir.defects()
    assert "line 4: passage 'p77'" in found
    assert found.endswith("(and 2 more like it)")


def test_all_kinds_of_defects_are_told_at_once(beir: Beir) -> None:
    for name, line, _ in BAD_LINES:
        beir.append(name, line)
    found = beir.defects()
    told = "\n".join(found)
    for part in (
        "was used before",
        "neither title nor text",
        "field 'text' is missing",
        "field '_id' is",
        "not JSON",
        "query id 'q1' was used before",
        "passage 'p77' is not in the corpus",
        "query 'q77' is not among",
        "tab-separated fields",
        "expected a whole number",
        "judged twice",
        "a query belongs to one split",
    ):
        assert part in told
    assert len(found) == len(set(found)) == 12


def test_without_train_queries_nothing_can_be_trained(beir: Beir) -> None:
    (beir.folder / "qrels" / "train.tsv").unlink()
    with pytest.raises(
        InvalidData, match="no judged train queries; training needs queries of a train"
    ):
        beir.load()


def test_a_share_that_leaves_dev_empty_is_named(beir: Beir) -> None:
    (beir.folder / "qrels" / "dev.tsv").unlink()
    why = r"no judged dev queries; --dev-share 0 of the 2 train queries is none, expected a larger"
    with pytest.raises(InvalidData, match=why):
        beir.load(SplitRule(dev_share=0.0))
    with pytest.raises(InvalidData, match=r"; dev_share = 0\.001 of the 2 train queries"):
        beir.load(SplitRule(dev_share=0.001, wording=CONFIG))


def test_it_is_told_where_train_queries_went_that_repeat_those_of_another_split(
    beir: Beir,
) -> None:
    for id_ in ("0", "1"):
        beir.append("queries.jsonl", json.dumps({"_id": f"again{id_}", "text": f"query {id_} ?"}))
    header = "query-id\tcorpus-id\tscore"
    beir.write("qrels/test.tsv", header, "again0\tp0\t1", "again1\tp1\t1")
    why = "no judged train queries, and 2 that nearly repeat a query of dev, gate or"
    with pytest.raises(InvalidData, match=why):
        beir.load()


def test_one_split_is_read_as_it_is_without_anything_to_train_on(beir: Beir) -> None:
    beir.append("qrels/train.tsv", "q9\tp9\tmany")
    batches: list[pa.Table] = []
    imported = import_split(location(beir.folder), "dev", write_corpus=batches.append)
    assert imported.queries["query_id"].to_pylist() == ["q2", "q3"]
    assert set(imported.qrels["split"].to_pylist()) == {"dev"}
    assert pa.concat_tables(batches).num_rows == 4
    assert imported.summary["train_queries"] == 0
    with pytest.raises(InputError, match=r"qrels: no qrels; expected gate\.tsv"):
        import_split(location(beir.folder), "gate", write_corpus=batches.append)
    beir.write("qrels/test.tsv", "query-id\tcorpus-id\tscore")
    with pytest.raises(InvalidData, match=r"test\.tsv: no judgement has a grade above 0"):
        import_split(location(beir.folder), "test", write_corpus=batches.append)
