"""`strop artifacts gc`, `pin` and `unpin`."""

import pytest

from strop.artifacts import pins
from strop.artifacts.runs import Run


@pytest.fixture(autouse=True)
def _unpinned(monkeypatch):
    monkeypatch.setattr(pins, "pinned", lambda root: set())


def test_gc_is_a_dry_run_unless_told(world, artifacts, told):
    count = len(world.artifacts())
    arguments = ("gc", "--keep-days", 0, "--grace", 0, "--drop-run", "tiny")
    text = artifacts(world, *arguments).stdout
    assert "report" in text
    assert "would forget run tiny, with its reviews\n" in text
    assert "nothing was deleted; --delete acts\n" in text
    assert len(world.artifacts()) == count
    planned = {item["id"] for item in told(world, *arguments)["artifacts"]}
    assert f"would delete {len(planned)} artifacts" in text
    gone = told(world, *arguments, "--delete")
    assert {item["id"] for item in gone["artifacts"]} == planned
    assert gone["deleted"] is True
    assert len(world.artifacts()) == count - len(planned)
    assert artifacts(world, "verify").exit_code == 0


def test_a_pinned_report_survives_its_run(world, artifacts, told):
    report = Run(world, "tiny").parts()["assess"]["report"].id
    assert (
        artifacts(world, "pin", report, "--reason", "shown").stdout == f"pinned report {report}\n"
    )
    arguments = ("gc", "--keep-days", 0, "--grace", 0, "--drop-run", "tiny", "--delete")
    assert report not in {item["id"] for item in told(world, *arguments)["artifacts"]}
    artifacts(world, "unpin", report)
    assert "is not pinned" in artifacts(world, "unpin", report, code=2).stderr


def test_a_run_that_is_not_there_is_refused(world, artifacts):
    done = artifacts(world, "gc", "--drop-run", "huge", code=2)
    assert done.stderr == "error: run 'huge': not in the store; the runs are tiny\n"
