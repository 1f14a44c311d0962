"""Kill -9, Ctrl-C and a full disk: nothing half-written, and the same command goes on."""

import os
import re
import signal
import subprocess
from collections import Counter

import pytest

from tests.end_to_end.conftest import INTERRUPT, KILL
from tests.end_to_end.test_production import post
from tests.end_to_end.test_run import stage_lines

QUICK = ["✓ train · round 2"]
ALL = [
    "✓ import beir",
    "✓ import model",
    "✓ encode",
    "✓ retrieve",
    "✓ initialise",
    "✓ tokenize",
    "✓ rank · prepare",
    "✓ select · round 1",
    "✓ list negatives · round 1",
    "✓ train · round 1",
    "✓ rerank · round 1",
    "✓ diagnose · round 1",
    "✓ score · round 2",
    "✓ train · round 2",
    "✓ accept · round 2",
    "✓ rerank · promote",
    "✓ promote · promote",
    "✓ evaluate · assess",
]


def names(output, mark):
    return [re.split(r"  +", line[2:])[0] for line in stage_lines(output) if line.startswith(mark)]


def bits(project):
    """Every file's digest but those of the report's pages, which show timings."""
    return {
        key: {
            name: entry["sha256"]
            for name, entry in manifest["files"].items()
            if name not in ("report.html", "report.md")
        }
        for key, manifest in project.manifests().items()
    }


def check_resumed(project, killed, finished):
    theirs, unstruck = finished
    done = project.strop("run", "strop.yaml")
    assert done.returncode == 0, done.stderr
    assert set(names(killed.stdout, "✓")) <= set(names(done.stdout, "="))
    made = [sorted(names(run.stdout, "✓") + names(run.stdout, "=")) for run in (done, unstruck)]
    assert made[0] == made[1]
    check_bits(project, theirs)


def check_bits(project, theirs):
    """Others may have looked at more there since."""
    ours, expected = bits(project), bits(theirs)
    assert ours == {key: expected.get(key) for key in ours}


def prepare(project, finished):
    theirs, _ = finished
    project.config(
        dataset=str(theirs.folder / "data"),
        bi_encoder={"model": str(theirs.folder / "encoder")},
        reranker={"base": str(theirs.folder / "encoder")},
    )


@pytest.mark.parametrize("line", QUICK)
def test_a_killed_run_goes_on_where_it_was_and_ends_the_same(project, finished, line):
    prepare(project, finished)
    killed = project.stop_at(line, KILL, "run", "strop.yaml")
    assert killed.returncode == -KILL
    check_resumed(project, killed, finished)


@pytest.mark.slow
@pytest.mark.parametrize("line", ALL)
def test_a_run_killed_after_any_stage_ends_the_same(project, finished, line):
    prepare(project, finished)
    killed = project.stop_at(line, KILL, "run", "strop.yaml")
    assert killed.returncode == -KILL
    check_resumed(project, killed, finished)


@pytest.mark.slow
def test_the_next_night_ends_all_that_a_killed_one_left_open(project):
    config = project.config("night.yaml", name="night", rounds=1)
    killed = project.stop_at("✓ list suspects · round 1", KILL, "nightly", config)
    assert killed.returncode == -KILL
    api = project.strop("ui", "--url").stdout.strip() + "/api"

    def states():
        body = {"flow_runs": {"name": {"like_": "night"}}}
        return Counter(run["state_type"] for run in post(f"{api}/flow_runs/filter", body))

    assert states() == {"RUNNING": 3, "COMPLETED": 1}, "the night, its run and round; prepare"
    done = project.strop("nightly", config)
    assert done.returncode == 0, done.stderr
    assert states()["CRASHED"] == 3
    assert states()["RUNNING"] == 0
    assert project.json("assess", config)["run"].startswith("night."), "its newest night"


def test_ctrl_c_ends_with_one_line_and_130_and_the_run_goes_on(project, finished):
    prepare(project, finished)
    stopped = project.stop_at("✓ list suspects · round 1", INTERRUPT, "run", "strop.yaml")
    assert stopped.returncode == 130
    message = "interrupted; the same command resumes from the last finished stage"
    assert stopped.stderr.split("\n") == ["", message, ""]
    assert "Traceback" not in stopped.stdout
    done = project.strop("round", "strop.yaml", "--round", 1)
    assert done.returncode == 0, done.stderr
    assert set(names(stopped.stdout, "✓")) == set(names(done.stdout, "="))
    check_bits(project, finished[0])


def test_a_second_run_of_the_same_name_is_refused_while_the_first_is_alive(project, finished):
    prepare(project, finished)
    first = project.start("run", "strop.yaml")
    for line in first.stdout:
        if line.startswith("✓ retrieve"):
            break
    # Held still: a fast machine would finish the first run while the second one starts.
    first.send_signal(signal.SIGSTOP)
    try:
        second = project.strop("run", "strop.yaml")
    finally:
        first.kill()
        first.communicate()
    assert second.returncode == 2
    assert f"process {first.pid}" in second.stderr
    assert len(second.stderr.splitlines()) == 1


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(project, small_disk):
    store = small_disk / "store"
    done = project.strop("run", project.config(rounds=1), "--store", store)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: disk full at {store}")
    assert len(done.stderr.splitlines()) == 1
    assert project.strop("artifacts", "verify", "--store", store).returncode == 0
    manifests = list(store.glob("objects/*/*/manifest.json"))
    attempts = [path for path in store.glob("objects/*/*/*") if path.is_dir()]
    assert len(manifests) == len(attempts)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert project.strop("run", "strop.yaml", "--store", store).returncode == 0
