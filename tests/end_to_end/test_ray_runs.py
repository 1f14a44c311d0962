"""Whole runs whose shards are made by Ray's workers; slow, since every run starts a cluster."""

import signal
import time

import psutil
import pytest

from strop.artifacts.store import Store
from tests.end_to_end.conftest import INTERRUPT, KILL, Project
from tests.end_to_end.test_bucket import bits_there
from tests.end_to_end.test_interruptions import bits

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ON_RAY = {"runner": "ray", "workers": 2, "threads": 1}
CUT = ("candidates", "embeddings", "ranking", "scores", "tokens")
SMALL = {"shard_passages": 16}


def tables(project):
    """The bits of all but the reports, whose ids depend on paths in the config."""
    reports = {key for key, made in project.manifests().items() if made["kind"] == "report"}
    return {key: files for key, files in bits(project).items() if key not in reports}


def shards(project):
    return list(project.store.glob("objects/shard/*/manifest.json"))


def stopped(project, config, number):
    """Start a run, send it a signal when two shards of its first stage are there; its children."""
    process = project.start("run", config)
    until = time.monotonic() + 150
    while len(shards(project)) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    out, err = process.communicate(timeout=100)
    assert process.returncode in (-KILL, 130, 143), out + err
    return children


def ended(children, seconds=90):
    gone, left = psutil.wait_procs(children, timeout=seconds)
    return not left and len(gone) == len(children)


@pytest.fixture(scope="module")
def plain(server, materials, tmp_path_factory):
    """The bits of a run without Ray."""
    folder = tmp_path_factory.mktemp("plain")
    for name in ("encoder", "data"):
        (folder / name).symlink_to(materials / name)
    project = Project(folder, server)
    done = project.strop("run", project.config(bi_encoder=SMALL, execution={"threads": 1}))
    assert done.returncode == 0, done.stderr
    return tables(project)


@pytest.mark.parametrize("number", [KILL, INTERRUPT, signal.SIGTERM])
def test_a_stopped_run_leaves_no_processes_and_goes_on_from_its_shards(project, plain, number):
    config = project.config(execution=ON_RAY, bi_encoder=SMALL)
    children = stopped(project, config, number)
    assert len(children) > 4
    assert ended(children)
    done = project.strop("run", config)
    assert done.returncode == 0, done.stderr
    made = project.manifests().values()
    (vectors,) = [item for item in made if item["kind"] == "embeddings"]
    assert vectors["execution"]["shards"]["found"] >= 2
    assert sum(vectors["execution"]["shards"].values()) == 9  # 120 passages by 16; the queries
    assert shards(project) == []
    cut = [item for item in made if item["kind"] in CUT and item["stage"] != "rank"]
    assert all("shards" in item["execution"] for item in cut)
    assert tables(project) == plain


def test_a_cluster_that_is_lost_is_a_fault_after_which_the_same_command_goes_on(project):
    """Its raylet is killed, on which all workers of a host depend."""
    config = project.config(execution=ON_RAY, bi_encoder=SMALL, rounds=1)
    process = project.start("run", config)
    for line in process.stdout:
        if line.startswith("✓ initialise"):
            break
    children = psutil.Process(process.pid).children(recursive=True)
    raylet = next(child for child in children if child.name() == "raylet")
    raylet.kill()
    _, err = process.communicate(timeout=200)
    assert process.returncode == 1
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "the cluster lost a shard" in line
    assert line.endswith("the same command goes on from the shards that are done")
    assert project.strop("run", config).returncode == 0


def test_workers_write_their_shards_to_a_bucket(project, plain, bucket, s3, tmp_path):
    environment = {**s3.environment(), "STROP_CACHE": str(tmp_path / "cache")}
    config = project.config(execution=ON_RAY, bi_encoder=SMALL)
    done = project.strop("run", config, "--store", bucket, **environment)
    assert done.returncode == 0, done.stderr
    reports = {item.id for item in Store(bucket).artifacts("report")}
    there = bits_there(bucket)
    assert {key: files for key, files in there.items() if key not in reports} == plain
    made = Store(bucket).artifacts("scores")
    assert made
    assert all(item.execution["shards"]["made"] for item in made)
