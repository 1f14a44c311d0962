"""`strop import` as people and scripts call it: other formats, problems as JSON, nothing left."""

import json
import re


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def records(count=12):
    return [
        {"query": f"{n} {'kgmr'[n % 4] * (n + 1)}", "pos": [f"about {n}"], "neg": [f"not {n}"]}
        for n in range(count)
    ]


def test_another_format_is_imported_and_its_warnings_and_problems_are_json(project):
    write(project.folder / "train.jsonl", records())
    found = project.json("import", "flagembedding", "train.jsonl", "--dev-share", "0.3")
    assert found["passages"] == 24
    assert [found[f"{split}_queries"] for split in ("train", "dev", "gate")] == [8, 2, 2]
    manifest = project.manifests()[found["dataset"]]
    assert manifest["stage"] == "import flagembedding"
    assert manifest["files"]["pool.parquet"]["rows"] == 12

    bad = records()
    bad[3]["pos"], bad[5]["pos"], bad[7]["query"] = "text", "text", 7
    write(project.folder / "bad.jsonl", bad)
    for more in ((), ("--check",)):
        done = project.strop("import", "flagembedding", "bad.jsonl", "--json", *more)
        assert done.returncode == 2
        problems = json.loads(done.stdout)["problems"]
        assert [(p["kind"], p["count"]) for p in problems] == [("bad pos", 2), ("bad query", 1)]
        assert "bad.jsonl line 4: field 'pos' is 'text'" in problems[0]["examples"][0]
    assert len(project.manifests()) == 1
    assert not list(project.folder.glob(".strop/objects/dataset/*/*/corpus.parquet.tmp"))
    assert len(list(project.folder.glob(".strop/objects/dataset/*"))) == 1

    changed = records()
    changed[3]["neg"] = ["something else"]
    write(project.folder / "train.jsonl", changed)
    done = project.strop("import", "flagembedding", "train.jsonl", "--dev-share", "0.3")
    assert (
        f"passages since {found['dataset']}: 0 changed, 1 new, 1 removed, 23 same; "
        f"strop artifacts diff {found['dataset']} "
    ) in done.stdout
    again = project.strop("import", "flagembedding", "train.jsonl", "--dev-share", "0.2")
    (before,) = re.findall(r"\ndataset ([0-9a-f]+);", done.stdout)
    assert f"\npassages: the same as those of {before}\n" in again.stdout


def test_what_cannot_be_asked_is_refused_at_once(project):
    for arguments, words in (
        (("csv", "data"), "format 'csv': unknown; expected beir, flagembedding, trec"),
        (("table", "data", "--column", "text=x"), "'text' is unknown, expected one of"),
        (("beir", "data", "--test-share", "1"), "--test-share 1.0: expected a share"),
        (("beir", "data", "--split-by", "luck"), "--split-by luck: expected query, source, time"),
        (
            ("beir", "data", "--split-by", "time"),
            "--split-by time: no query has the field 'time'",
        ),
        (("beir", "data", "--time-field", "t"), "--time-field t: expected with --split-by time"),
        (("beir", "data", "--max-tokens", "64"), "--max-tokens 64: expected with --check --tok"),
        (("beir", "s4://bucket/data"), "s4://bucket/data: cannot be reached"),
        (("beir", "nowhere"), "nowhere: no such folder"),
    ):
        done = project.strop("import", *arguments)
        assert done.stdout == "" or "'time'" in words, "no server is started for that"
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not list(project.store.glob("objects/*"))


def test_a_run_s_negatives_are_exported_with_the_same_bytes_each_time(finished, tmp_path):
    project, _ = finished
    rows = project.json("artifacts", "ls", "--kind", "negatives")
    artifact = rows[-1]["id"]
    for number in (1, 2):
        out = tmp_path / f"{number}.jsonl"
        done = project.strop(
            "export", "negatives", artifact, "--format", "flagembedding", "--out", out
        )
        assert done.returncode == 0, done.stderr
    first, second = ((tmp_path / f"{number}.jsonl").read_bytes() for number in (1, 2))
    assert first == second
    records = [json.loads(line) for line in first.splitlines()]
    assert len(records) == rows[-1]["summary"]["queries"]
    scored = [row for row in records if "neg_scores" in row]  # where the round scored all of them
    assert scored
    assert all(len(row["pos"]) == len(row["pos_scores"]) for row in scored)
    assert all(len(row["neg"]) == len(row["neg_scores"]) for row in scored)
    done = project.strop("export", "negatives", artifact, "--format", "trec-run", "--out", out)
    assert (done.returncode, "is there already" in done.stderr) == (2, True)
    other = project.json("artifacts", "ls", "--kind", "dataset")[0]["id"]
    done = project.strop("export", "negatives", other, "--format", "trec-run")
    assert (done.returncode, "expected a negatives artifact" in done.stderr) == (2, True)
