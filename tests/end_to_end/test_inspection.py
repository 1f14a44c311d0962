"""What the Prefect UI is given to show of a finished run."""

import json
import re
import urllib.request

from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_URL, temporary_settings

from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.tasks import shown_pages
from tests.end_to_end.test_production import post


def artifacts(project, key):
    api = project.strop("ui", "--url").stdout.strip() + "/api"
    body = {"sort": "CREATED_DESC", "artifacts": {"key": {"any_": [key]}}}
    return post(f"{api}/artifacts/filter", body)


def test_any_artifact_is_three_clicks_from_its_run(finished):
    """The run's Artifacts tab, the page of contents, the artifact."""
    project, _ = finished
    report = Run(Store(project.store), "tiny").parts()["assess"]["report"].id
    # Runs of this name in other stores have pages of their own.
    page = next(page for page in artifacts(project, "tiny-contents") if report in page["data"])
    links = dict(re.findall(r"\[(\w+ \w+)\]\(/v2/artifacts/artifact/([\w-]+)\)", page["data"]))
    made = project.made_until(report)
    assert set(links) == {f"{item['kind']} {number}" for number, item in made.items()}
    parts = re.findall(r"^## (.+)$", page["data"], re.MULTILINE)
    assert parts == ["prepare", "round 1", "round 2", "promote", "assess", "made on the way"]
    api = project.strop("ui", "--url").stdout.strip() + "/api"
    for name, number in links.items():
        with urllib.request.urlopen(f"{api}/artifacts/{number}") as answer:
            assert json.loads(json.load(answer)["data"])[0]["value"] == name


def test_a_repetition_shows_what_was_not_shown_before(finished):
    """A server keeps all that it was ever shown, and takes its time for it."""
    project, _ = finished
    api = project.strop("ui", "--url").stdout.strip() + "/api"

    def repeated():
        """The tables that a repetition shows."""
        project.strop("run", "strop.yaml")
        run = artifacts(project, "tiny-contents")[0]["flow_run_id"]
        parts = post(f"{api}/task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        inner = [part["state"]["state_details"]["child_flow_run_id"] for part in parts]
        runs = {"id": {"any_": [run, *filter(None, inner)]}}
        body = {"flow_runs": runs, "artifacts": {"type": {"any_": ["table"]}}}
        tables = post(f"{api}/artifacts/filter", body)
        return {json.loads(table["data"])[0]["value"] for table in tables}

    assert repeated() == set()
    found = artifacts(project, "tiny-embeddings-encode")
    name = json.loads(found[0]["data"])[0]["value"]
    for item in found:  # of runs in other stores as well
        request = urllib.request.Request(f"{api}/artifacts/{item['id']}", method="DELETE")
        urllib.request.urlopen(request).close()
    assert repeated() == {name}


def test_pages_of_the_newest_showing_are_found_however_many_there_are(finished, monkeypatch):
    project, _ = finished
    offsets, asked = [], SyncPrefectClient.read_artifacts

    def read(self, **options):
        offsets.append(options["offset"])
        return asked(self, **options)

    monkeypatch.setattr(SyncPrefectClient, "read_artifacts", read)
    with temporary_settings(
        {PREFECT_API_URL: project.strop("ui", "--url").stdout.strip() + "/api"}
    ):
        whole = shown_pages._asked("tiny")
        monkeypatch.setattr(shown_pages, "PAGE", 20)
        # Other tests have shown artifacts of this name too.
        monkeypatch.setattr(shown_pages, "PAGES", 100)
        offsets.clear()
        assert shown_pages._asked("tiny") == whole
    assert offsets[:3] == [0, 20, 40]
    newest = artifacts(project, "tiny-reranker-train")[0]
    name = json.loads(newest["data"])[0]["value"]
    assert whole[name] == f"/v2/artifacts/artifact/{newest['id']}"


def test_a_stages_table_leads_to_the_store_and_its_versions_follow_the_rounds(finished):
    project, _ = finished
    # Other runs of this name have made the same artifacts in stores of their own.
    runs = {manifest["prefect"].get("flow_run_id") for manifest in project.manifests().values()}
    found = [
        item for item in artifacts(project, "tiny-reranker-train") if item["flow_run_id"] in runs
    ]
    assert [item["description"].split(",")[0] for item in found] == [
        "reranker of round 2",
        "reranker of round 1",
    ]
    rows = json.loads(found[0]["data"])
    assert all(all(row) for row in rows), "the UI opens no table with a nameless column"
    figures = {row["figure"]: row["value"] for row in rows}
    assert list(figures)[:3] == ["artifact", "open with", "from reranker"]
    kind, key = figures["artifact"].split()
    assert project.manifests()[key]["kind"] == kind == "reranker"
    assert figures["open with"] == f"strop artifacts show {key}"
    negatives = figures["from negatives"].removeprefix("negatives ")
    assert project.manifests()[negatives]["kind"] == "negatives"
    assert figures["pairs"] == f"{project.manifests()[key]['summary']['pairs']:,}"
