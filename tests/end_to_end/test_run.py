"""The main job as a user does it: `strop run`, again, and what is left to look at."""

import json
import shutil
import urllib.request
from html import escape

import pytest
import yaml

from strop.artifacts.reviews import review_lease
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.flows.review import open_review
from tests.end_to_end.conftest import Project

ROUND_STAGES = ["select", "list negatives", "list suspects", "train", "rerank", "evaluate"]


def stage_lines(output):
    return [line for line in output.splitlines() if line[:2] in ("✓ ", "= ")]


def test_a_run_ends_with_a_table_of_all_rankings_and_where_things_are(finished):
    project, done = finished
    for row in ("first stage", "round 1, alone", "round 1, fused", "round 2, alone"):
        assert row in done.stdout
    # The base has a fresh head, with whose noise nobody reranks.
    assert "untuned base" not in done.stdout
    assert "✓ rank · prepare" in done.stdout
    assert "✓ rerank · prepare" not in done.stdout
    assert "champion" in done.stdout
    run = Run(Store(project.store), "tiny")
    report = run.store.file(run.parts()["assess"]["report"], "report.html")
    assert str(report.relative_to(project.folder)) in done.stdout
    assert done.stderr == ""


def test_the_terminal_shows_stages_and_no_library_chatter(finished):
    _, done = finished
    lines = done.stdout.splitlines()
    stages = stage_lines(done.stdout)
    assert len(stages) > 20
    for number in (1, 2):
        for stage in ROUND_STAGES:
            assert any(f"{stage} · round {number}" in line for line in stages), (stage, number)
    for word in ("Traceback", "Warning", "prefect.", "Loading weights", "{'loss'"):
        assert word not in done.stdout
    assert len(lines) < 90


def test_round_one_mines_from_the_first_stage_and_round_two_with_the_last_reranker(finished):
    project, _ = finished
    manifests = project.manifests()
    selections = [m for m in manifests.values() if m["kind"] == "selection"]
    by_round = {m["parameters"]["round"]: m for m in selections}
    assert "scores_1" not in by_round[1]["inputs"]
    scores = manifests[by_round[2]["inputs"]["scores_1"]["id"]]
    reranker = manifests[scores["inputs"]["reranker"]["id"]]
    assert reranker["parameters"]["round"] == 1


def test_test_is_read_after_every_decision(finished):
    _, done = finished
    stages = [line.split("·")[0].strip("✓= ") for line in stage_lines(done.stdout)]
    lines = stage_lines(done.stdout)
    first_test = next(i for i, line in enumerate(lines) if "split test" in line)
    decisions = [i for i, stage in enumerate(stages) if stage in ("accept", "promote")]
    assert decisions
    assert max(decisions) < first_test


def test_every_round_has_a_report_of_its_own_with_what_it_cost(finished):
    run = Run(Store(finished[0].store), "tiny")
    made = run.parts()["round-002"]
    page = run.store.file(made["report"], "report.html").read_text(encoding="utf-8")
    (decision,) = run.store.table(made["decision"], "decision").to_pylist()
    assert "<h1>tiny, round 2</h1>" in page
    assert escape(decision["reason"][1:]) in page
    assert "Results on dev" in page
    assert "strop round strop.yaml --round 2   # this report" in page
    assert "strop assess" not in page
    stages = len({ref.id for role, ref in made.items() if role not in ("report", "breakdown")})
    assert f"0 of {stages}</td>" in page
    assert run.store.manifest(made["breakdown"]).summary["rounds"] == 2


def test_the_same_run_again_reuses_every_stage(finished):
    project, done = finished
    again = project.strop("run", "strop.yaml")
    assert again.returncode == 0
    assert {line[0] for line in stage_lines(again.stdout)} == {"="}
    assert again.stdout.split("test queries")[-1] == done.stdout.split("test queries")[-1]


def test_json_has_every_row_with_its_interval(finished):
    project, _ = finished
    results = project.json("run", "strop.yaml")
    row = next(r for r in results["rounds"] if r["round"] == 2 and r["ranking"] == "fused")
    assert set(row) >= {"split", "metric", "value", "ci_low", "ci_high", "p_value"}
    assert row["difference_ci_low"] <= row["difference"] <= row["difference_ci_high"]
    assert {r["split"] for r in results["rounds"]} == {"test"}
    assert results["ui"].startswith("http://127.0.0.1:")


@pytest.mark.slow  # a run that was killed is held against this one in any case
def test_another_store_gets_byte_identical_artifacts(finished, project):
    theirs, _ = finished
    shutil.copy(theirs.folder / "strop.yaml", project.folder)
    for name in ("data", "encoder"):
        (project.folder / name).exists()
    done = project.strop("run", "strop.yaml")
    assert done.returncode == 0, done.stderr

    # The page alone shows how long reranking took; nothing is made from it.
    def bits(manifests):
        return {
            (m["kind"], key, name): entry["sha256"]
            for key, m in manifests.items()
            for name, entry in m["files"].items()
            if name not in ("report.html", "report.md")
        }

    assert bits(project.manifests()) == bits(theirs.manifests())


def test_rounds_by_hand_make_the_same_artifacts(finished, project):
    theirs, _ = finished
    config = project.config(dataset=str(theirs.folder / "data"))
    done = project.strop("round", config, "--round", "1")
    assert f"next: strop round {config} --round 2, or strop assess {config}" in done.stdout
    done = project.strop("round", config, "--round", "2")
    assert done.stdout.splitlines()[-1] == f"next: strop assess {config}"
    assert project.json("assess", config)["rounds"]
    made, expected = made_by_part(project), made_by_part(theirs)
    del expected["promote"]
    for parts in (made, expected):
        del parts["assess"]["breakdown"]  # it is told of the gate, which only a promotion measures
    assert made == expected


def test_a_run_is_assessed_with_its_own_config_and_data_alone(finished, tmp_path):
    """Or a report would tell of values, or of data, that nothing in it was made with."""
    project, theirs = back_to_round_one(finished[0], tmp_path), finished[0].folder
    data = shutil.copytree(theirs / "data", tmp_path / "other")
    with (data / "corpus.jsonl").open("a") as corpus:
        corpus.write('{"_id": "one-more", "title": "", "text": "a passage that is new"}\n')
    values = yaml.safe_load((theirs / "strop.yaml").read_text())
    deeper = {**values, "evaluation": {**values["evaluation"], "depth": 9}}
    for changed, words in (
        (deeper, "evaluation.depth = 8, the config now says 9"),
        ({**values, "dataset": str(data)}, "dataset = 'dataset "),
    ):
        (tmp_path / "changed.yaml").write_text(json.dumps(changed))
        done = project.strop("assess", "changed.yaml")
        assert done.returncode == 2
        assert f"error: run tiny: was started with {words}" in done.stderr
    assert "assess" not in Run(Store(project.store), "tiny").parts()


def made_by_part(project):
    """The artifacts of a run but its reports, which show how long stages took."""
    parts = Run(Store(project.store), "tiny").parts()
    return {
        part: {role: ref for role, ref in refs.items() if role != "report"}
        for part, refs in parts.items()
    }


def test_another_config_under_the_same_name_is_refused_naming_the_key(finished):
    project, _ = finished
    other = project.config("other.yaml", training={"learning_rate": 0.001})
    done = project.strop("run", other)
    assert done.returncode == 2
    assert "training.learning_rate = 0.002" in done.stderr
    assert "0.001" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_every_artifact_verifies_and_a_flipped_byte_is_named(finished, tmp_path):
    project, _ = finished
    copy = tmp_path / "store"
    shutil.copytree(project.store, copy)
    assert project.strop("artifacts", "verify", "--store", copy).returncode == 0
    path = next(copy.glob("objects/negatives/*/*/negatives.parquet"))
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    done = project.strop("artifacts", "verify", "--store", copy)
    assert done.returncode == 1
    assert "negatives.parquet has other content" in done.stdout


def test_artifacts_can_be_listed_and_shown(finished):
    project, _ = finished
    rows = project.json("artifacts", "ls", "--kind", "negatives")
    assert len(rows) == 2
    done = project.strop("artifacts", "show", rows[0]["id"][:8])
    assert done.returncode == 0
    for word in ("made from", "selection", "group_size", "positives"):
        assert word in done.stdout


def test_the_prefect_api_has_readable_runs_and_artifacts(finished):
    project, _ = finished
    port = project.environment["STROP_SERVER_PORT"]

    def ask(path, body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())

    flows = ask("flow_runs/filter", {"sort": "START_TIME_ASC"})
    names = {run["name"] for run in flows}
    assert {"improve tiny", "prepare tiny", "tiny round 1", "tiny round 2", "assess tiny"} <= names
    assert "Completed" in {run["state_name"] for run in flows if run["name"] == "improve tiny"}
    project.strop("run", "strop.yaml")
    tasks = ask("task_runs/filter", {"limit": 200, "task_runs": {"name": {"like_": "train ·"}}})
    assert {task["name"] for task in tasks} == {"train · round 1", "train · round 2"}
    assert "Reused" in {task["state_name"] for task in tasks}
    keys = {item["key"] for item in ask("artifacts/latest/filter", {"limit": 200})}
    assert {"tiny-negatives-list-negatives", "tiny-report-page"} <= keys


def test_the_model_folder_loads_in_other_libraries_with_equal_logits(finished):
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    project, _ = finished
    ids = [row["id"] for row in project.json("artifacts", "ls", "--kind", "reranker")]
    folder = project.json("artifacts", "show", ids[-1])["folder"]
    pair = ("balo banu", "dalo danu fira")
    logit = CrossEncoder(folder).predict([pair])[0]
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        plain = model(**AutoTokenizer.from_pretrained(folder)(*pair, return_tensors="pt"))
    assert abs(float(logit) - float(plain.logits[0, 0])) < 1e-5


def back_to_round_one(project, folder):
    """A copy of the project, whose run stopped after its first round."""
    shutil.copy(project.folder / "strop.yaml", folder)
    shutil.copytree(project.store, folder / ".strop")
    for part in ("round-002", "promote", "assess"):
        (folder / ".strop" / "runs" / "tiny" / "parts" / f"{part}.json").unlink()
    return Project(folder, project.environment)


def test_the_next_round_takes_verdicts_as_labels_and_the_report_counts_them(finished, tmp_path):
    plain, project = finished[0], back_to_round_one(finished[0], tmp_path)
    unreviewed = Run(Store(plain.store), "tiny").parts()["round-002"]
    suspects = Store(plain.store).table(unreviewed["suspects"], "suspects").to_pylist()
    pairs = [(row["query_id"], row["passage_id"]) for row in suspects[:3]]
    words = ("relevant", "not relevant", "unsure")
    lines = [",".join((*pair, word)) for pair, word in zip(pairs, words, strict=True)]
    path = tmp_path / "verdicts.csv"
    path.write_text("\n".join(["query_id,passage_id,verdict", *lines]), encoding="utf-8")
    run = Run(Store(project.store), "tiny")
    with review_lease(run) as lease:
        review = open_review(run, None, lease)
        review.import_file(path)
        made = review.finish()
    assert (review.number, made.next_round) == (1, 2)

    done = project.strop("run", "strop.yaml")
    assert done.returncode == 0, done.stderr
    parts = run.parts()
    selection = run.store.manifest(parts["round-002"]["selection"])
    assert selection.id != unreviewed["selection"].id
    assert selection.inputs["verdicts"] == made.verdicts
    assert selection.summary["verdicts"] == {"relevant": 1, "not relevant": 1, "unsure": 1}
    table = run.store.table(selection, "selection").to_pylist()
    decided = {(row["query_id"], row["passage_id"]): row for row in table}
    assert decided[pairs[0]]["rule"] == "relevant by verdict"
    assert decided[pairs[1]]["decision"] in ("negative", "skipped")
    assert decided[pairs[2]]["rule"] == "unsure by verdict"
    changed = selection.summary["changed_by_verdicts"]
    assert changed >= 3
    report = run.store.file(parts["assess"]["report"], "report.md").read_text(encoding="utf-8")
    assert "rows changed by verdicts" in report
    assert f"| {changed} |" in report


@pytest.mark.slow
def test_a_round_repeated_on_a_branch_leaves_the_run_as_it_is(finished, tmp_path):
    shutil.copy(finished[0].folder / "strop.yaml", tmp_path)
    shutil.copytree(finished[0].store, tmp_path / ".strop")
    project = Project(tmp_path, finished[0].environment)
    run = Run(Store(project.store), "tiny")
    before = run.parts()
    options = ("--round", 2, "--branch", "hot", "--set", "training.temperature=0.5")
    done = project.json("round", "strop.yaml", *options)
    assert done["run"] == "tiny.hot"
    assert run.parts() == before
    branch = Run(Store(project.store), "tiny.hot").parts()
    assert branch["round-001"] == before["round-001"]
    assert branch["round-002"]["selection"] != before["round-002"]["selection"]
    scores = [made["round-002"]["scores_1"] for made in (before, branch)]
    assert scores[0] == scores[1], "what the change does not touch is shared"
    compared = project.json("compare", "tiny:2", "tiny.hot:2", "--split", "dev")
    assert {row["name"] for row in compared} == {"tiny:2", "tiny.hot:2"}

    again = ("--round", 2, "--branch", "hot", "--set", "training.temperature=2")
    refused = project.strop("round", "strop.yaml", *again)
    assert refused.returncode == 2
    assert "training.temperature" in refused.stderr
    for option in ("reranker.max_tokens=16", "training.warmth=1"):
        refused = project.strop(
            "round", "strop.yaml", "--round", 2, "--branch", "b", "--set", option
        )
        assert refused.returncode == 2
        assert option.partition("=")[0] in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1
