"""The whole product on a store in a bucket: run, look, compare, review, collect, resume."""

import json

import pytest

from benchmarks.s3 import CREDENTIALS, Plan
from strop.artifacts.store import Store
from tests.end_to_end.conftest import KILL
from tests.end_to_end.test_interruptions import bits, prepare
from tests.end_to_end.test_run import stage_lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def remote(project, bucket, s3, finished, tmp_path):
    """The project with a store in a bucket, and how to run `strop` on it."""
    prepare(project, finished)
    environment = {
        **s3.environment(proxied=True),
        "STROP_CACHE": str(tmp_path / "cache"),
        "STROP_STORE": bucket,
    }

    def strop(*arguments, code=0):
        done = project.strop(*arguments, **environment)
        assert done.returncode == code, done.stdout + done.stderr
        for secret in CREDENTIALS.values():
            assert secret not in done.stdout + done.stderr
        return done

    yield project, strop, environment
    s3.plan(Plan())


def bits_there(bucket):
    return {
        item.id: {
            name: entry.sha256
            for name, entry in item.files.items()
            if name not in ("report.html", "report.md")
        }
        for item in Store(bucket).artifacts()
    }


def test_a_run_in_a_bucket_ends_with_the_bits_of_one_in_a_folder(remote, bucket, finished):
    project, strop, _ = remote
    theirs, _ = finished
    done = strop("run", "strop.yaml")
    assert bits_there(bucket) == bits(theirs)
    assert f"artifacts   {bucket}  (strop artifacts ls)" in done.stdout
    assert not (project.folder / ".strop").exists()
    again = strop("run", "strop.yaml")
    assert all(line.startswith("= ") for line in stage_lines(again.stdout))
    listed = json.loads(strop("artifacts", "ls", "--json").stdout)
    assert len(listed) == len(bits_there(bucket))
    strop("artifacts", "verify", "--deep")
    asked = "SELECT count(*) AS n FROM metrics_per_query WHERE run = 'tiny'"
    told = json.loads(strop("artifacts", "query", asked, "--json").stdout)
    assert told[0]["n"] > 0
    two = [item["id"] for item in listed if item["kind"] == "negatives"][:2]
    assert "negatives" in strop("artifacts", "diff", *two).stdout
    assert "was made from" in strop("artifacts", "lineage", two[1]).stdout
    assert "20 test queries" in strop("compare", "tiny:1", "tiny:2").stdout
    assert "tiny" in strop("champion", "show").stdout
    strop("review", "tiny", "--export", "suspects.csv")
    strop("round", "strop.yaml", "--round", "2")
    strop("artifacts", "gc", "--delete", "--keep-days", "0", "--grace", "0")
    assert bits_there(bucket) == bits(theirs)
    gone = strop(
        "artifacts", "gc", "--delete", "--keep-days", "0", "--grace", "0", "--drop-run", "tiny"
    )
    assert "deleted" in gone.stdout


def test_a_run_killed_in_a_storm_of_faults_goes_on(remote, bucket, s3, finished):
    project, strop, environment = remote
    theirs, _ = finished
    s3.plan(Plan(rate=0.1, seed=2, seconds=0.05))
    killed = project.stop_at("✓ train · round 1", KILL, "run", "strop.yaml", **environment)
    assert killed.returncode == -KILL
    done = strop("run", "strop.yaml")
    assert s3.plan()["done"]
    s3.plan(Plan())
    before = [line for line in stage_lines(killed.stdout) if line.startswith("✓")]
    after = [line for line in stage_lines(done.stdout) if line.startswith("=")]
    assert len(after) >= len(before)
    assert bits_there(bucket) == bits(theirs)
    strop("artifacts", "verify", "--deep")
