"""Commands that look at finished runs: the champion, runs beside each other."""

from tests.end_to_end.test_bad_input import refused


def test_the_champion_can_be_shown_with_its_reason(finished):
    project, _ = finished
    told = project.json("champion", "show", "strop.yaml")
    assert (told["champion"], told["run"], told["generation"]) == ("tiny", "tiny", 1)
    assert "nDCG@10 on dev" in told["reason"]
    shown = project.strop("champion", "history")
    assert shown.returncode == 0
    assert told["name"] in shown.stdout


def test_there_is_no_way_back_from_the_first_champion(finished):
    project, _ = finished
    refused(project.strop("champion", "rollback"), "ref tiny", "nothing before it")
    refused(project.strop("champion", "show", "absent"), "'absent'", "the champions are tiny")
    refused(project.strop("champion", "show", "--store", "nowhere"), "nowhere", "--store")


def test_quality_by_depth_and_latency_are_in_the_report_and_timings_in_no_digest(finished):
    project, _ = finished
    kinds = {item["kind"]: item for item in project.manifests().values()}
    text = next(project.store.glob("objects/report/*/*/report.md")).read_text()
    for words in ("## Quality by depth", "| 4 | Reranker alone |", "| 8 | Fused with", "## Slices"):
        assert words in text
    timed = kinds["latency"]["execution"]["latency"]
    assert [item["depth"] for item in timed] == [4, 8]
    assert all(item["p50_ms"] > 0 for item in timed)
    assert f"| {timed[1]['p50_ms']:.1f} | {timed[1]['p95_ms']:.1f} |" in text
    assert set(kinds["latency"]["files"]) == {"timed.parquet"}
    items = project.manifests().values()
    made_from_it = [item["kind"] for item in items if "latency" in item["inputs"]]
    assert made_from_it == ["report"]


def test_rounds_can_be_compared_by_name(finished):
    project, _ = finished
    rows = project.json("compare", "strop.yaml:1", "tiny:2", "tiny:0", "--metric", "MAP")
    names = [row["name"] for row in rows if row["ranking"] == "fused"]
    assert names == ["tiny:1", "tiny:2", "tiny:0"]
    assert {(row["split"], row["metric"]) for row in rows} == {("test", "MAP")}
    refused(project.strop("compare", "tiny:1", "tiny:9"), "no round 9", "finished are 1, 2")
