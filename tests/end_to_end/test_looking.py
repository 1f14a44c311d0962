"""Commands that look at finished runs: the champion, runs beside each other."""

from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from tests.end_to_end.test_bad_input import refused
from tests.world import tiny_model


def test_the_champion_can_be_shown_with_its_reason(finished):
    project, _ = finished
    told = project.json("champion", "show", "strop.yaml")
    assert (told["champion"], told["run"], told["generation"]) == ("tiny", "tiny", 1)
    assert told["reason"] == "the base's head is fresh and not yet trained"
    shown = project.strop("champion", "history")
    assert shown.returncode == 0
    assert told["name"] in shown.stdout


def test_there_is_no_way_back_from_the_first_champion(finished):
    project, _ = finished
    refused(project.strop("champion", "rollback"), "champion tiny", "is still the first")
    refused(project.strop("champion", "show", "absent"), "'absent'", "the champions are tiny")
    refused(project.strop("champion", "show", "--store", "nowhere"), "nowhere", "--store")


def test_quality_by_depth_and_latency_are_in_the_report_and_timings_in_no_digest(finished):
    project, _ = finished
    kinds = {item["kind"]: item for item in project.manifests().values()}
    run = Run(Store(project.store), "tiny")
    text = run.store.file(run.parts()["assess"]["report"], "report.md").read_text(encoding="utf-8")
    for words in ("## Quality by depth", "| 4 | alone |", "| 8 | fused |", "## Slices"):
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


def test_outside_rerankers_and_runs_are_measured_once_on_the_same_candidates(finished, tmp_path):
    project, _ = finished
    other = tiny_model(tmp_path / "other", seed=7, one_logit=True)
    own = run_of_the_fused_ranking(project, tmp_path / "own.run")
    asked = ("compare", "tiny:2", "--reranker", other, "--run-file", own)
    rows = project.json(*asked)
    found = {(row["name"], row["ranking"]): row for row in rows}
    assert list(found) == [
        ("tiny:2", "reranker"), (str(other), "reranker"), ("tiny:2", "fused"),
        (str(other), "fused"), (str(own), "run"),
    ]  # fmt: skip
    assert found[str(own), "run"]["difference"] == 0
    assert found[str(own), "run"]["value"] == found["tiny:2", "fused"]["value"]
    assert {(row["split"], row["n"]) for row in rows} == {("test", 20)}
    again = project.strop(*asked, "--plot", tmp_path / "beside.png")
    lines = [line[0] for line in again.stdout.splitlines() if line[:2] in ("✓ ", "= ")]
    assert len(lines) > 6
    assert set(lines) == {"="}
    assert "own.run, as it is" in again.stdout
    assert (tmp_path / "beside.png").read_bytes().startswith(b"\x89PNG")


def run_of_the_fused_ranking(project, path):
    """A TREC run that says what round 2's fused ranking says, and one passage more a query."""
    store = Store(project.store)
    metrics = Run(store, "tiny").parts()["assess"]["metrics_test_2"]
    ranking = store.table(store.manifest(metrics).inputs["ranking"], "ranking").to_pylist()
    known = {(row["query_id"], row["passage_id"]) for row in ranking}
    lines = [f"{r['query_id']} Q0 {r['passage_id']} 1 {-r['fused_rank']} x\n" for r in ranking]
    for query in dict.fromkeys(row["query_id"] for row in ranking):
        other = next(p for n in range(120) if (query, p := f"p{n}") not in known)
        lines.append(f"{query} Q0 {other} 1 9 x\n")
    path.write_text("".join(lines))
    return path


def test_a_rerankers_name_is_found_in_the_hubs_cache_without_a_network(finished, tmp_path):
    project, _ = finished
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--org--tiny"
    tiny_model(repository / "snapshots" / commit, seed=7, one_logit=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    cache = {"HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    asked = ("compare", "tiny:2", "--split", "dev", "--reranker")
    done = project.strop(*asked, "org/tiny", **cache)
    assert done.returncode == 0, done.stderr
    assert "org/tiny, alone" in done.stdout
    assert "org/tiny, fused" in done.stdout
    absent = project.strop(*asked, "org/absent", **cache)
    refused(absent, "--reranker 'org/absent': neither a folder nor to be had from the Hugging Face")


def test_a_model_that_is_no_reranker_is_one_line(finished):
    project, _ = finished
    done = project.strop("compare", "tiny", "--reranker", "encoder")
    refused(done, "--reranker 'encoder'", "has no trained head with one logit")
