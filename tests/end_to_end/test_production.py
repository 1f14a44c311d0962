"""Nights, deployments and a person's word, as a schedule and its owner meet them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from strop.artifacts import refs
from strop.artifacts.runs import Run, list_runs
from strop.artifacts.store import Store
from strop.cli.deployments import STEPS
from strop.cli.quiet import HUSHED
from tests.end_to_end.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]
NIGHTLY = {"rounds": 1, "name": "night", "data": {"split_by": "source"}}


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or "null")


def nightly(project):
    return project.json("nightly", project.config("night.yaml", **NIGHTLY))


def contents_page(project, run):
    api = project.strop("ui", "--url").stdout.strip() + "/api"
    keys = {"key": {"any_": [f"{run.name.replace('.', '-')}-contents"]}}
    return post(f"{api}/artifacts/filter", {"sort": "CREATED_DESC", "artifacts": keys})[0]["data"]


def nights(project):
    runs = [run for run in list_runs(Store(project.store)) if run.name.startswith("night.")]
    return sorted(runs, key=lambda run: run.started)


def change(project, store, run):
    """Remove one of the run's negatives, change another, and add a passage and its dev query."""
    parts = run.parts()
    rows = store.table(parts["round-001"]["negatives"], "negatives").to_pylist()
    judged = store.table(parts["prepare"]["dataset"], "qrels")["passage_id"].to_pylist()
    mined = {item["passage_id"] for row in rows for item in row["negatives"]}
    gone, changed = sorted(mined - set(judged))[:2]
    data = project.folder / "data"
    corpus = [json.loads(line) for line in (data / "corpus.jsonl").read_text().splitlines()]
    corpus = [row for row in corpus if row["_id"] != gone]
    for row in corpus:
        row["text"] += " more" if row["_id"] == changed else ""
    corpus.append({"_id": "new", "title": "", "text": "a new passage"})
    (data / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    with (data / "queries.jsonl").open("a") as file:
        file.write(json.dumps({"_id": "dev-new", "text": "a new query"}) + "\n")
    with (data / "qrels" / "dev.tsv").open("a") as file:
        file.write("dev-new\tnew\t1\n")
    return gone, changed


@pytest.fixture
def first_night(project):
    data = project.folder / "data"
    shared = data.resolve()
    data.unlink()
    shutil.copytree(shared, data)  # the test adds to it
    return nightly(project)


def test_a_night_without_a_change_does_nothing_and_new_data_start_from_the_champion(
    project, first_night
):
    (run,) = nights(project)
    assert first_night["unchanged"] is False
    assert first_night["outcome"].startswith(f"run {run.name}: ")
    assert not [role for role in run.parts()["assess"] if role.startswith("metrics_test")]
    contents = contents_page(project, run)
    assert f"| dataset | [dataset {run.parts()['prepare']['dataset'].id}](/v2/" in contents
    assert contents.count("| [") == contents.count("| `strop artifacts show"), "all have links"

    before = set(project.manifests())
    again = nightly(project)
    assert again["unchanged"] is True
    assert run.name in again["outcome"]
    assert set(project.manifests()) == before

    store = Store(project.store)
    reranker = run.parts()["round-001"]["reranker"]
    value = {"ranking": "fused", "round": 1, "run": run.name, "weight": 0.5}
    value |= {"name": f"round 1 of {run.name}", "reranker": asdict(reranker), "decision": "by hand"}
    refs.move(store, refs.read(store, "night"), value)
    assert nightly(project)["unchanged"] is True, "the champion's own change starts no training"

    gone, changed = change(project, store, run)
    assert nightly(project)["unchanged"] is False
    newer = nights(project)[-1]
    assert newer.config["dataset"] != run.config["dataset"]
    assert newer.name != run.name
    assert newer.config["reranker"]["base"] == reranker.id, "a path would hold on this host only"
    untuned = store.manifest(newer.parts()["prepare"]["reranker"])
    assert store.manifest(untuned.inputs["base"]).inputs == {"reranker": reranker}
    assert not store.manifest(newer.parts()["prepare"]["reranker"]).summary["fresh_head"]

    drift = newer.parts()["prepare"]["drift"]
    states = store.table(drift, "negatives").to_pylist()
    assert {row["passage_id"] for row in states if row["state"] == "gone"} == {gone}
    assert {row["passage_id"] for row in states if row["state"] == "changed"} == {changed}
    queries = store.table(drift, "queries").to_pylist()
    assert [row["query_id"] for row in queries if not row["known"]] == ["dev-new"]
    summary = store.manifest(drift).summary
    assert summary["old_negatives"]["same"] == len(states) - sum(
        row["passage_id"] in (gone, changed) for row in states
    )
    assert 0 <= summary["nDCG@10 on new queries"] <= 1
    report = store.file(newer.parts()["assess"]["report"], "report.md").read_text()
    assert f"negatives of round 1 of {run.name}: " in report
    assert "on 1 new and " in report


def report_of(project, run):
    found = Run(Store(project.store), run)
    return found.store.file(found.parts()["assess"]["report"], "report.md").read_text()


@pytest.mark.slow
def test_a_challenger_that_won_awaits_a_person(project):
    decision = {"alpha": 0.49, "approval": True, "min_gate_queries": 5}
    config = project.config("approve.yaml", name="approve", decision=decision)
    done = project.strop("run", config)
    assert done.returncode == 0, done.stderr
    store = Store(project.store)
    made = Run(store, "approve").parts()["promote"]["decision"]
    (row,) = store.table(made, "decision").to_pylist()
    assert row["verdict"] == "awaiting"
    assert "awaits approval" in done.stdout
    assert "next: strop promote approve" in done.stdout
    assert (refs.read(store, "approve").value or {})["ranking"] == "first_stage"

    promoted = project.json("promote", "approve", "--note", "looked at it")
    assert promoted["decision"].endswith("promoted by hand")
    champion = refs.read(store, "approve").value
    assert (champion["round"], champion["approved"]) == (2, "looked at it")
    move = project.json("champion", "history", "approve")[-1]
    assert move["note"] == "looked at it"
    assert move["reason"].endswith("promoted by hand (looked at it)")
    assert "awaits" not in project.strop("champion", "show", "approve").stdout
    assert project.strop("assess", config).returncode == 0
    assert "promoted by hand: looked at it." in report_of(project, "approve")
    again = project.strop("run", config).stdout
    assert "awaits" not in again.partition("does")[2]
    assert "promoted by hand (looked at it)" in again

    other = project.strop("promote", project.config(name="approve", decision=decision))
    assert other.returncode == 0, "a second word changes nothing"
    assert "champion already" in other.stdout
    assert refs.read(store, "approve").generation == 2

    assert project.strop("champion", "rollback", "approve").returncode == 0
    late = project.strop("promote", "approve", "--note", "after all")
    assert late.returncode == 2
    assert "`strop champion rollback approve --to 2` makes it champion again" in late.stderr
    assert len(late.stderr.strip().splitlines()) == 1


def test_nothing_is_promoted_where_nothing_awaits(finished):
    project, _ = finished
    done = project.strop("promote", "tiny")
    assert done.returncode == 2
    assert "nothing to approve" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def made_by_hand(api, flow, name, parameters):
    """A deployment that is there before ours, as an earlier strop's."""
    known = post(f"{api}/flows/", {"name": flow})["id"]
    values = {"flow_id": known, "name": name, "parameters": parameters, "tags": ["strop"]}
    post(f"{api}/deployments/", values)


def improving(api, store):
    """The deployments of `improve` that `strop serve` has made for a store."""
    found = [item for item in post(f"{api}/deployments/filter", {}) if "served" in item["name"]]
    found = [item for item in found if item["name"].startswith("improve-")]
    return [item for item in found if item["parameters"] == {"store": str(store)}]


@pytest.mark.slow
def test_serving_that_ends_tells_of_the_run_that_it_ends(project):
    config = yaml.safe_load((project.folder / project.config(name="served")).read_text())
    serving = project.start("serve")
    while "Ctrl-C ends" not in serving.stdout.readline():
        assert serving.poll() is None
    api = project.strop("ui", "--url").stdout.strip() + "/api"
    until = time.monotonic() + 120
    while not (steps := improving(api, project.store)):
        assert time.monotonic() < until
        time.sleep(0.1)
    url = f"{api}/deployments/{steps[0]['id']}/create_flow_run"
    run = post(url, {"parameters": {"config": config}})
    while not list(project.store.glob("objects/dataset/*/manifest.json")):
        assert time.monotonic() < until
        time.sleep(0.1)
    serving.send_signal(signal.SIGINT)
    out, err = serving.communicate(timeout=60)
    assert serving.returncode == 0, err
    assert "improve served: its process is gone; the next run goes on where it stopped" in out
    (ended,) = post(f"{api}/flow_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    assert ended["state_type"] == "CRASHED"


def test_deployments_are_a_configs_own_with_schedule_limit_and_parameters(project, server):
    config = project.config()
    options = ("--cron", "30 3 * * *", "--timezone", "Europe/Berlin", "--no-worker")
    done = project.strop("deploy", config, *options)
    assert done.returncode == 0, done.stderr
    assert "prefect worker start --pool strop" in done.stdout
    url = next(word for word in done.stdout.split() if word.startswith("http://"))
    api = url.partition("/deployments")[0] + "/api"
    found = {item["name"]: item for item in post(f"{api}/deployments/filter", {})}
    assert set(found) >= {f"{step}-tiny" for step in STEPS if step != "promote"}
    assert "promote-tiny" not in found, "nothing of it awaits a person's word"
    schedule = found["nightly-tiny"]["schedules"][0]["schedule"]
    assert (schedule["cron"], schedule["timezone"]) == ("30 3 * * *", "Europe/Berlin")
    options = found["nightly-tiny"]["concurrency_options"]
    assert options["collision_strategy"] == "CANCEL_NEW"
    assert found["nightly-tiny"]["parameters"]["config"]["name"] == "tiny"
    assert found["nightly-tiny"]["job_variables"]["env"] == HUSHED, "a worker is as quiet as we are"
    properties = found["nightly-tiny"]["parameter_openapi_schema"]["definitions"]["Guard"][
        "properties"
    ]
    assert properties["margin"]["maximum"] == 100

    same = {"config": {"name": "beside"}, "store": str(project.store)}
    foreign = {"run": "beside", "store": "/somewhere/else"}
    made_by_hand(api, "nightly", "nightly", same)
    made_by_hand(api, "promote by hand", "promote", foreign)
    made_by_hand(api, "promote by hand", "promote-beside", {**foreign, "store": same["store"]})
    made_by_hand(api, "improve", "improve-beside", {**same, "store": "/somewhere/else"})
    done = project.strop("deploy", project.config(name="beside"), "--no-worker")
    assert done.returncode == 0, done.stderr
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("removed what is no")]
    assert set(told.partition(": ")[2].split(", ")) == {"nightly", "promote-beside"}
    assert "improve-beside was of the store /somewhere/else, and is of" in done.stdout
    found = {item["name"]: item for item in post(f"{api}/deployments/filter", {})}
    for name, cron in (("nightly-tiny", "30 3 * * *"), ("nightly-beside", "0 2 * * *")):
        assert [item["schedule"]["cron"] for item in found[name]["schedules"]] == [cron]
    assert found["improve-tiny"]["parameters"]["config"]["name"] == "tiny"
    assert "nightly" not in found, "it would run beside the new one"
    assert "promote-beside" not in found, "nothing of it awaits a person's word"
    assert found["promote"]["parameters"] == foreign


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("--cron", "at night", "five fields"), ("--timezone", "Berlin", "Europe/Berlin")],
)
def test_a_schedule_that_cannot_be_is_refused_in_one_line(project, option, value, words):
    state = {"STROP_STATE": str(project.folder / "state")}
    done = project.strop("deploy", project.config(), option, value, "--no-worker", **state)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (project.folder / "state").exists(), "no server was started for it"
    assert not project.store.exists()


def flow_runs(api, name):
    body = {"flow_runs": {"name": {"like_": name}}}
    return {run["name"]: run for run in post(f"{api}/flow_runs/filter", body)}


def bar_values(api, run, stage, wanted):
    """The values that the progress bar of a stage has in the UI, looked at until so many differ."""
    body = {"artifacts": {"type": {"any_": ["progress"]}}, "flow_runs": {"name": {"like_": run}}}
    seen, deadline = [], time.monotonic() + 60
    while len(seen) < wanted and time.monotonic() < deadline:
        for bar in post(f"{api}/artifacts/filter", body):
            if bar["description"] == stage and bar["data"] not in seen:
                seen.append(bar["data"])
        time.sleep(0.5)
    return seen


@pytest.mark.slow
def test_a_run_of_the_terminal_moves_its_bar_and_stops_when_it_is_cancelled_in_the_ui(project):
    config = project.config("long.yaml", name="long", training={"pairs_per_round": 100_000})
    process = project.start("run", config)
    api = None
    for line in process.stdout:
        if line.startswith("Prefect UI: "):
            api = line.split()[-1] + "/api"
        if line.startswith("✓ list suspects · round 1"):
            break
    seen = bar_values(api, "long", "train · round 1", 3)
    assert len(seen) == 3
    assert seen == sorted(seen)
    assert 0 < seen[0] < seen[-1] < 100
    root = flow_runs(api, "improve long")["improve long"]
    post(f"{api}/flow_runs/{root['id']}/set_state", {"state": {"type": "CANCELLING"}})
    asked = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - asked < 15, "ten seconds, on a machine that is not busy"
    assert process.returncode == 130
    assert errors.strip() == "error: cancelled by hand; the same command resumes"
    states = {name: run["state_type"] for name, run in flow_runs(api, "long").items()}
    assert states["improve long"] == states["long round 1"] == "CANCELLED"
    assert states["prepare long"] == "COMPLETED"
    within = {"flow_runs": {"name": {"any_": ["long round 1"]}}}
    stages = {run["name"]: run["state_type"] for run in post(f"{api}/task_runs/filter", within)}
    assert stages.pop("train · round 1") == "CANCELLED"
    assert set(stages.values()) == {"COMPLETED"}
    kinds = [manifest["kind"] for manifest in project.manifests().values()]
    assert kinds.count("reranker") == 1, "the untuned one; nothing half-trained"


@pytest.mark.slow
def test_a_server_that_is_away_for_a_minute_stops_nothing(project, tmp_path):
    own = {"STROP_STATE": str(tmp_path / "state"), "STROP_SERVER_PORT": str(free_port())}
    config = project.config("away.yaml", name="away", training={"epochs": 30})
    process = project.start("run", config, **own)
    for line in process.stdout:
        if line.startswith("✓ list suspects · round 1"):
            break
    assert project.strop("ui", "--stop", **own).stdout == "stopped\n"
    time.sleep(55)
    assert project.strop("ui", "--url", **own).returncode == 0
    out, errors = process.communicate(timeout=200)
    project.strop("ui", "--stop", **own)
    assert process.returncode == 0, errors
    assert "away: " in out


@pytest.mark.slow
def test_the_deployments_of_prefect_yaml_are_the_same_five(project):
    shutil.copy(ROOT / "prefect.yaml", project.folder)
    url = project.strop("ui", "--url").stdout.strip()
    environment = {**project.environment, "PREFECT_API_URL": f"{url}/api", "NO_COLOR": "1"}
    for arguments in (
        ["work-pool", "create", "strop", "--type", "process", "--overwrite"],
        ["--no-prompt", "deploy", "--all"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            cwd=project.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    found = {item["name"]: item for item in post(f"{url}/api/deployments/filter", {})}
    assert set(found) >= {f"{step}-my-corpus" for step in STEPS}
    assert found["nightly-my-corpus"]["schedules"][0]["schedule"]["timezone"] == "Europe/Berlin"
    assert found["nightly-my-corpus"]["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert found["promote-my-corpus"]["entrypoint"] == "strop.flows.promote.approve"
    assert found["promote-my-corpus"]["job_variables"]["env"] == HUSHED


def test_what_serves_sees_to_it_that_a_run_that_ends_with_it_is_crashed(project):
    done = project.stop_at("Deployments", signal.SIGTERM, "serve")
    assert "automation 'strop: silent runs are crashed' http://127.0.0.1:" in done.stdout
    api = f"http://127.0.0.1:{project.environment['STROP_SERVER_PORT']}/api"
    names = [found["name"] for found in post(f"{api}/automations/filter", {})]
    assert "strop: silent runs are crashed" in names
