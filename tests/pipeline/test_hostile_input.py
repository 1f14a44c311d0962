"""Broken and strange files by the hundred: each is read properly, or refused in one line."""

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strop.pipeline.data import text_files
from strop.pipeline.data.importing import Request, import_files, moves_queries
from strop.pipeline.errors import InputError

Case = tuple[str, str, dict[str, bytes], tuple[str, ...]]
"""A name, a format, the files with their bytes, and columns; "read" in the name is to be read."""

GOOD = [
    {"query": f"what is {word}", "pos": [f"{word} is a thing"], "neg": ["no answer"]}
    for word in ("ash", "bog", "cow", "dew", "elm", "fog", "gnu", "hen", "ice", "jay")
]


def jsonl(records: list[Any]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def packed(records: list[Any]) -> dict[str, bytes]:
    return {"train.jsonl": jsonl(records)}


def beir(**spoilt: bytes) -> dict[str, bytes]:
    corpus = [{"_id": f"p{n}", "title": "", "text": row["pos"][0]} for n, row in enumerate(GOOD)]
    queries = [{"_id": f"q{n}", "text": row["query"]} for n, row in enumerate(GOOD)]
    qrels = "".join(f"q{n}\tp{n}\t1\n" for n in range(10)).encode()
    files = {
        "corpus.jsonl": jsonl(corpus),
        "queries.jsonl": jsonl(queries),
        "qrels/train.tsv": b"query-id\tcorpus-id\tscore\n" + qrels,
    }
    names = {"corpus": "corpus.jsonl", "queries": "queries.jsonl", "qrels": "qrels/train.tsv"}
    return files | {names[part]: data for part, data in spoilt.items()}


def parquet(table: dict[str, Any], **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(table), sink, **options)
    return bytes(sink.getvalue())


STRANGE = {
    "right to left": "ما هو الجواب \u202e שלום",
    "zero width": "zero\u200bwidth\u200djoin\ufeff",
    "Chinese": "什么是重排序模型以及它如何工作",
    "Japanese": "再ランキングとは何ですか",
    "Thai": "การจัดอันดับใหม่คืออะไร",
    "emoji": "👩‍👩‍👧‍👦 and 🏳️‍🌈 and 🇩🇪",
    "combining": "e\u0301 versus é and Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢",
    "NUL": "a\u0000b",
    "controls": "a\u0001\u001b[31mred\u0007",
    "line separators": "one\u2028two\u2029three\u0085four\x0bfive",
    "tabs and ends": "tab\there\r\nand\nthere",
    "quotes": "\"double\" 'single' \\back\\slash `tick`",
    "markup": "<script>alert(1)</script> [bold]rich[/bold] %s {x} $(rm)",
    "beyond the plane": "𝕏 𐍈 𝄞 \U0010ffff",
    "private and unassigned": "\ue000 \ufffe \uffff",
    "spaces of all kinds": "a\u00a0b\u2003c\u3000d",
    "long word": "w" * 100_000,
    "many words": "word " * 50_000,
    "number": "12345",
    "null word": "null",
    "path": "../../etc/passwd",
    "formula": "=1+1",
}
WRONG = [None, 7, 1.5, True, [], ["x", None], [["x"]], {}, {"a": "b"}, "", " \t "]
NAMES = ["query", "pos", "neg"]


def strange_texts() -> Iterator[Case]:
    for name, text in STRANGE.items():
        records = [*GOOD, {"query": f"q {text}", "pos": [f"p {text}"], "neg": [text]}]
        yield f"read {name}", "flagembedding", packed(records), ()
        rows = [{"_id": f"p{n}", "text": row["pos"][0]} for n, row in enumerate(GOOD)]
        corpus = jsonl([*rows, {"_id": "strange", "title": text, "text": text}])
        yield f"read {name} in a corpus", "beir", beir(corpus=corpus), ()
        if "\x00" not in text:
            table = {"query": [r["query"] for r in GOOD], "passage": [text] * 10}
            yield f"read {name} in Parquet", "table", {"t.parquet": parquet(table)}, ()


def wrong_types() -> Iterator[Case]:
    for field in NAMES:
        for value in WRONG:
            fine = field == "neg" and value in (None, [])
            record = {**GOOD[3], field: value}
            name = f"{'read' if fine else 'refuse'} {field} = {value!r}"
            yield name, "flagembedding", packed([*GOOD, record]), ()
    for field in ("pos_scores", "neg_scores"):
        for value in (7, "9", ["x"], [1, 2], [None], [[1]], [float("nan")], [float("inf")], {}):
            records = [*GOOD, {**GOOD[3], field: value}]
            yield f"refuse {field} = {value!r}", "flagembedding", packed(records), ()
    fine = {"_id": [7], "text": ["", " \t "], "title": [None, "", " \t "]}
    for key, accepted in fine.items():
        for value in WRONG:
            kept = "read" if value in accepted and value is not True else "refuse"
            record = {"_id": "new", "text": "some text", "title": "x", key: value}
            corpus = beir()["corpus.jsonl"] + jsonl([record])
            yield f"{kept} passage {key} = {value!r}", "beir", beir(corpus=corpus), ()
    for value in (0, -1, "x", [], True, float("nan")):
        records = [*GOOD, {**GOOD[3], "query": "another", "weight": value}]
        yield f"refuse weight = {value!r}", "flagembedding", packed(records), ()


def broken_bytes() -> Iterator[Case]:
    whole = jsonl(GOOD)
    zipped, zstd = gzip.compress(whole), pa.compress(whole, "zstd", asbytes=True)
    spoilt = bytearray(zipped)
    spoilt[-6] ^= 0xFF
    flipped = bytearray(zipped)
    flipped[len(zipped) // 2] ^= 0xFF
    cases = {
        "read gzip": zipped,
        "read gzip of two members": gzip.compress(whole[:100]) + gzip.compress(whole[100:]),
        "read zstd": zstd,
        "read a BOM": b"\xef\xbb\xbf" + whole,
        "read Windows line ends": whole.replace(b"\n", b"\r\n"),
        "read mixed line ends": whole.replace(b"\n", b"\r\n", 3),
        "read no last line end": whole.rstrip(b"\n"),
        "read blank lines": whole.replace(b"\n", b"\n\n  \n\t\n"),
        "read deep metadata": whole + deep(500),
        "read a line of 5 MB": whole + jsonl([{**GOOD[0], "query": "x", "pos": ["y" * 5_000_000]}]),
        "read a key twice": whole + b'{"query":"old","query":"new","pos":["text"]}\n',
        "refuse truncated gzip": zipped[:-20],
        "refuse half a gzip": zipped[: len(zipped) // 2],
        "refuse a gzip header": zipped[:10],
        "refuse gzip with another checksum": bytes(spoilt),
        "refuse gzip with a flipped byte": bytes(flipped),
        "refuse truncated zstd": zstd[:-20],
        "refuse a zstd header": zstd[:6],
        "refuse UTF-16": whole.decode().encode("utf-16"),
        "refuse UTF-16 big end first": b"\xfe\xff" + whole.decode().encode("utf-16-be"),
        "refuse UTF-16 without a mark": whole.decode().encode("utf-16-le"),
        "refuse UTF-32": whole.decode().encode("utf-32"),
        "refuse Latin-1": whole + '{"query":"é","pos":["ü"]}\n'.encode("latin-1"),
        "refuse cut UTF-8": whole + b'{"query":"\xe4\xbd","pos":["x"]}\n',
        "refuse overlong UTF-8": whole + b'{"query":"\xc0\xaf","pos":["x"]}\n',
        "refuse lone surrogate": whole + b'{"query":"half \\ud83d","pos":["x"]}\n',
        "refuse lone surrogate in a list": whole + b'{"query":"q","pos":["\\udc00"]}\n',
        "refuse raw NUL": whole + b'{"query":"a\0b","pos":["x"]}\n',
        "refuse zeros": b"\0" * 4096,
        "refuse random": bytes((n * 197 + 31) % 251 for n in range(4096)),
        "refuse empty": b"",
        "refuse white space": b" \n\t\n",
        "refuse a pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94.",
        "refuse Parquet as JSONL": parquet({"query": ["x"]}),
        "refuse bzip2": b"BZh91AY&SY" + b"\0" * 40,
        "refuse xz": b"\xfd7zXZ\x00" + b"\0" * 40,
        "refuse a zip": b"PK\x03\x04" + b"\0" * 40,
        "refuse zlib": zlib.compress(whole),
        "refuse one JSON array": json.dumps(GOOD).encode(),
        "refuse indented JSON": json.dumps(GOOD[0], indent=2).encode(),
        "refuse Mac line ends": whole.replace(b"\n", b"\r"),
        "refuse concatenated objects": whole.replace(b"\n", b""),
        "refuse trailing comma": whole + b'{"query":"a","pos":["b"],}\n',
        "refuse single quotes": whole + b"{'query':'a','pos':['b']}\n",
        "refuse a comment": b"// data\n" + whole,
        "refuse a bare number": whole + b"7\n",
        "refuse a bare text": whole + b'"text"\n',
        "refuse null": whole + b"null\n",
        "refuse cut object": whole[:-30],
        "refuse deep JSON": whole + b"[" * 200_000 + b"\n",
        "refuse deep objects": whole + deep(200_000),
        "refuse deep open objects": whole + b'{"a":' * 100_000 + b"\n",
        "refuse huge exponent as score": whole
        + b'{"query":"a","pos":["b"],"pos_scores":[1e999]}\n',
        "refuse huge integer as score": whole
        + b'{"query":"a","pos":["b"],"pos_scores":[' + b"9" * 400 + b"]}\n",
        "refuse NaN as query": whole + b'{"query":NaN,"pos":["b"]}\n',
    }  # fmt: skip
    for name, data in cases.items():
        yield name, "flagembedding", {"train.jsonl": data}, ()


def deep(levels: int) -> bytes:
    inner = b"[" * levels + b"]" * levels
    return b'{"query":"deep","pos":["text of deep"],"extra":' + inner + b"}\n"


def ids_and_qrels() -> Iterator[Case]:
    good = beir()
    for identifier in (
        "a/b",
        "../../etc",
        "..",
        "C:\\x",
        "ä ö",
        "日本",
        "a b",
        "%2e",
        "-",
        "0",
        "x" * 5000,
        "\u202e",
        "q'1",
        '"',
    ):
        corpus = good["corpus.jsonl"] + jsonl([{"_id": identifier, "text": "text of it"}])
        qrels = good["qrels/train.tsv"] + f"q0\t{identifier}\t1\n".encode()
        yield f"read id {identifier[:20]!r}", "beir", beir(corpus=corpus, qrels=qrels), ()
    for identifier in ("", " ", "a\tb", "a\nb", "a\0b", "a\x7fb"):
        corpus = good["corpus.jsonl"] + jsonl([{"_id": identifier, "text": "text of it"}])
        yield f"refuse id {identifier!r}", "beir", beir(corpus=corpus), ()
    for grade in ("1", "0", "-1", "3", " 2", "+1"):
        qrels = good["qrels/train.tsv"] + f"q0\tp1\t{grade}\n".encode()
        yield f"read grade {grade!r}", "beir", beir(qrels=qrels), ()
    for line in (
        "q0\tp1\t1.0",
        "q0\tp1\t1e3",
        "q0\tp1\tNaN",
        "q0\tp1\t",
        "q0\tp1",
        "q0 p1 1",
        "q0\t0\tp1\t1",
        "q0\tp1\t1\textra",
        "q0\tp1\tone",
        "q0\tp1\t١",
        "q0\tp1\t99999999999",
        "q77\tp1\t1",
        "q0\tp77\t1",
        "q0\tp0\t1",
        "q0,p1,1",
        "\tp1\t1",
        "q0\t\t1",
        "q0\tp1 \t1",
        "Q0\tp1\t1",
        "q0\tp1\t0x1",
    ):
        qrels = good["qrels/train.tsv"] + f"{line}\n".encode()
        yield f"refuse qrels {line!r}", "beir", beir(qrels=qrels), ()
    for part in ("corpus", "queries", "qrels"):
        yield f"refuse empty {part}", "beir", beir(**{part: b""}), ()
        yield f"refuse zeros as {part}", "beir", beir(**{part: b"\0" * 64}), ()
        yield f"refuse UTF-16 {part}", "beir", beir(**{part: "x\n".encode("utf-16")}), ()
    for name in good:
        yield f"refuse without {name}", "beir", {k: v for k, v in good.items() if k != name}, ()


def tables() -> Iterator[Case]:
    rows = {"query": [r["query"] for r in GOOD], "passage": [r["pos"][0] for r in GOOD]}
    body = "".join(f"{q},{p}\n" for q, p in zip(*rows.values(), strict=True))
    csvs = {
        "read csv": "query,passage\n" + body,
        "read csv with quotes": "query,passage\n" + body + '"a ""b"" c","x, y"\n',
        "read csv with line ends in quotes": "query,passage\n" + body + '"a\nb","x\n\ny"\n',
        "read csv with a BOM": "\ufeffquery,passage\n" + body,
        "read csv with Windows line ends": ("query,passage\n" + body).replace("\n", "\r\n"),
        "refuse csv with an open quote": "query,passage\n" + body + '"a,b\n' + body,
        "refuse csv with text after a quote": "query,passage\n" + body + '"a"b,c\n',
        "refuse csv with more fields": "query,passage\n" + body + "a,b,c\n",
        "refuse csv with fewer fields": "query,passage\n" + body + "a\n",
        "refuse csv with semicolons": ("query,passage\n" + body).replace(",", ";"),
        "refuse csv without a header": body,
        "refuse csv with a header alone": "query,passage\n",
        "refuse csv with a column twice": "query,query,passage\n",
        "refuse csv with an empty field": "query,passage\n" + body + ",x\n",
        "refuse csv with Mac line ends": ("query,passage\n" + body).replace("\n", "\r"),
    }
    for name, text in csvs.items():
        yield name, "table", {"rows.csv": text.encode()}, ()
    whole = parquet(rows)
    lists = [[text, "other"] for text in rows["passage"]]
    parquets = {
        "read parquet": whole,
        "read parquet with small row groups": parquet(rows, row_group_size=2),
        "read parquet of dictionaries": parquet(
            {name: pa.array(column).dictionary_encode() for name, column in rows.items()}
        ),
        "read parquet of large strings": parquet(
            {name: pa.array(column, pa.large_string()) for name, column in rows.items()}
        ),
        "read parquet of lists": parquet({**rows, "passage": lists}),
        "refuse parquet of another schema": parquet({"a": [1], "b": [2]}),
        "refuse parquet of numbers": parquet({"query": [1] * 10, "passage": [2] * 10}),
        "refuse parquet of bytes": parquet(
            {name: [text.encode() for text in column] for name, column in rows.items()}
        ),
        "refuse parquet with nulls": parquet({**rows, "passage": [None, *rows["passage"][1:]]}),
        "refuse parquet of null lists": parquet({**rows, "passage": [None, *lists[1:]]}),
        "refuse parquet with lists of lists": parquet({**rows, "passage": [[["x"]]] * 10}),
        "refuse parquet of structs": parquet({**rows, "passage": [{"text": "x"}] * 10}),
        "refuse parquet without rows": parquet({"query": pa.array([], "string"),
                                                "passage": pa.array([], "string")}),
        "refuse parquet without columns": parquet({}),
        "refuse truncated parquet": whole[: len(whole) // 2],
        "refuse parquet without its footer": whole[:-8],
        "refuse parquet with a spoilt footer": whole[:-40] + b"\xff" * 32 + whole[-8:],
        "refuse parquet with a spoilt page": whole[:8] + b"\xff" * 60 + whole[68:],
        "refuse text as parquet": b"query,passage\n",
        "refuse empty parquet": b"",
    }  # fmt: skip
    for name, data in parquets.items():
        yield name, "table", {"rows.parquet": data}, ()
    yield "refuse a column that is not there", "table", {"rows.parquet": whole}, ("query=nope",)
    yield "refuse an empty folder", "table", {}, ()
    yield "refuse a folder without tables", "table", {"notes.md": b"x"}, ()
    yield "refuse text as arrow", "huggingface", {"data.arrow": b"text"}, ()
    yield "refuse an empty arrow", "huggingface", {"data.arrow": b""}, ()


def trec() -> Iterator[Case]:
    good = {
        "collection.tsv": b"".join(f"d{n}\t{r['pos'][0]}\n".encode() for n, r in enumerate(GOOD)),
        "topics.tsv": b"".join(f"{n}\t{r['query']}\n".encode() for n, r in enumerate(GOOD)),
        "qrels.txt": b"".join(f"{n} 0 d{n} 1\n".encode() for n in range(10)),
    }
    yield "read trec", "trec", good, ()
    yield (
        "read qrels with tabs",
        "trec",
        {**good, "qrels.txt": good["qrels.txt"].replace(b" ", b"\t")},
        (),
    )
    yield (
        "read qrels with many spaces",
        "trec",
        {**good, "qrels.txt": good["qrels.txt"].replace(b" ", b"   ")},
        (),
    )
    spoil = {
        "collection.tsv": [
            b"no tab\n",
            b"a\tb\tc\td\te\n",
            b"\ttext\n",
            b"d0\tagain\n",
            b"\xff\tx\n",
        ],
        "topics.tsv": [b"no tab\n", b"11\t\n", b"\tquery\n", b"0\tagain\n"],
        "qrels.txt": [
            b"0 0 d1\n",
            b"0 0 d1 1 2\n",
            b"0 0 d1 1.5\n",
            b"0 0 d99 1\n",
            b"99 0 d1 1\n",
        ],
    }
    for part, ends in spoil.items():
        for end in ends:
            yield f"refuse {part} with {end!r}", "trec", {**good, part: good[part] + end}, ()
    for part in good:
        yield (
            f"refuse trec without {part}",
            "trec",
            {k: v for k, v in good.items() if k != part},
            (),
        )
    good = {part: data for part, data in good.items() if part != "collection.tsv"}
    for name, text in {
        "read marked": "".join(
            f"<DOC><DOCNO>d{n}</DOCNO><TEXT>t {n}</TEXT></DOC>\n" for n in range(10)
        ),
        "refuse an open DOC": "<DOC>\n<DOCNO>d0</DOCNO>\n<TEXT>x</TEXT>\n",
        "refuse a DOC without number": "<DOC>\n<TEXT>x</TEXT>\n</DOC>\n",
        "refuse a DOC without text": "<DOC>\n<DOCNO>d0</DOCNO>\n</DOC>\n",
        "refuse a DOC in a DOC": "<DOC>\n<DOC>\n<DOCNO>d0</DOCNO>\n</DOC>\n",
        "refuse no DOC at all": "text\n",
    }.items():
        yield name, "trec", {**good, "collection.trec": text.encode()}, ()


TOPICS = (strange_texts, wrong_types, broken_bytes, ids_and_qrels, tables, trec)
CASES = [(topic.__name__.replace("_", " "), case) for topic in TOPICS for case in topic()]


def outcome(case: Case, folder: Path) -> str:
    """Read, or the one line of the refusal."""
    _, kind, files, columns = case
    for file, data in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data)
    rows: list[pa.Table] = []
    rule = {"dev_share": 0.2, "gate_share": 0.5}
    request = Request.checked(kind, str(folder), list(columns), rule)
    try:
        if kind == "beir":
            moves_queries(request)  # what decides the recipe's version reads the files first
        import_files(request, write_corpus=rows.append)
    except InputError as error:
        told = str(error).splitlines()
    else:
        assert pa.concat_tables(rows).num_rows
        return "read"
    for line in told:
        assert len(line) < 600, line
        assert str(folder) in line or "--column" in line, line
        assert re.search(r"expected|missing|give|remove|needs|no |add ", line), line
    return "refuse"


def test_there_are_more_than_200_and_each_is_its_own() -> None:
    names = [f"{kind}: {name}" for _, (name, kind, _, _) in CASES]
    assert len(set(names)) == len(names) >= 200


@pytest.mark.timeout(120)
def test_every_file_is_read_or_refused(tmp_path: Path, capsys: Any) -> None:
    found: Counter[tuple[str, str]] = Counter()
    wrong = []
    for number, (topic, case) in enumerate(CASES):
        folder = tmp_path / f"case{number}"
        folder.mkdir()
        try:
            result = outcome(case, folder)
        except Exception as error:
            result = f"{type(error).__name__}: {str(error)[:300]}"
        found[topic, result if result in ("read", "refuse") else "fault"] += 1
        if result != case[0].split()[0]:
            wrong.append(f"{case[1]}: {case[0][:80]} -> {result}")
    with capsys.disabled():
        print(f"\n{len(CASES)} hostile files")
        for (topic, result), count in found.items():
            print(f"{topic}: {result} {count}")
    assert wrong == []


def test_a_line_without_end_is_not_taken_into_memory(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(text_files, "LONGEST_LINE", 1 << 20)
    case = (
        "",
        "flagembedding",
        {"train.jsonl": jsonl(GOOD) + b'{"query":"' + b"x" * (3 << 20)},
        (),
    )
    assert outcome(case, tmp_path) == "refuse"


def test_a_line_of_50_megabytes_is_read(tmp_path: Path) -> None:
    record = {"query": "long", "pos": ["word " * 10_000_000]}
    case = ("", "flagembedding", packed([*GOOD, record]), ())
    assert outcome(case, tmp_path) == "read"


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("query", "pos", "neg", "pos_scores", "weight", "_id"), ANY_JSON)
)
SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SETTINGS
@given(records=st.lists(RECORDS, max_size=4))
def test_any_json_is_read_or_refused(records: list[Any], tmp_path: Path) -> None:
    text = "".join(json.dumps(record) + "\n" for record in records)
    for kind, file in (("flagembedding", "train.jsonl"), ("table", "train.jsonl")):
        outcome(("", kind, {file: text.encode()}, ()), tmp_path)


@SETTINGS
@given(data=st.binary(max_size=300), place=st.integers(0, 400))
def test_any_bytes_in_any_file_are_read_or_refused(data: bytes, place: int, tmp_path: Path) -> None:
    for part in ("corpus", "queries", "qrels"):
        whole = beir()[
            {"corpus": "corpus.jsonl", "queries": "queries.jsonl"}.get(part, "qrels/train.tsv")
        ]
        outcome(("", "beir", beir(**{part: whole[:place] + data + whole[place:]}), ()), tmp_path)
    for file in ("rows.csv", "rows.parquet", "train.jsonl"):
        folder = tmp_path / file
        folder.mkdir(exist_ok=True)
        outcome(("", "table", {file: data}, ()), folder)


@SETTINGS
@given(place=st.integers(4, 900), value=st.integers(0, 255))
def test_a_spoilt_byte_in_parquet_or_gzip_is_no_fault(
    place: int, value: int, tmp_path: Path
) -> None:
    rows = {"query": [r["query"] for r in GOOD], "passage": [r["pos"][0] for r in GOOD]}
    for file, whole in (
        ("rows.parquet", parquet(rows)),
        ("rows.jsonl", gzip.compress(jsonl(GOOD))),
    ):
        data = bytearray(whole)
        data[place % len(data)] = value
        folder = tmp_path / file
        folder.mkdir(exist_ok=True)
        outcome(("", "table", {file: bytes(data)}, ()), folder)
