"""When a run whose rounds are rejected makes no more of them."""

import pytest

from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.flows.accepted import why_stopped
from strop.flows.session import Session
from strop.pipeline.config import Config
from tests.flows.test_beside import decision


@pytest.mark.parametrize(
    ("verdicts", "patience", "reason"),
    [
        ("ar", 1, "stopped after round 2: the last round was rejected"),
        (
            "arr",
            2,
            "stopped after round 3: the last 2 rounds were rejected",
        ),
        ("rr", 2, "stopped after round 2: the last 2 rounds were rejected"),
        ("rar", 2, ""),
        ("rra", 2, ""),
        ("rrr", None, ""),
        ("aaar", 1, ""),
    ],
)
def test_a_run_stops_after_so_many_rejected_rounds_in_a_row(tmp_path, verdicts, patience, reason):
    store = Store(tmp_path / "store")
    config = Config(name="tiny", rounds=4, decision={"patience": patience})
    run = Run(store, "tiny")
    run.claim(config.identity())
    words = {"a": "accepted", "r": "rejected"}
    with run.lease() as lease:
        for number, letter in enumerate(verdicts, start=1):
            run.record(lease, f"round-{number:03d}", {"decision": decision(store, words[letter])})
        key = f" (decision.patience = {patience})" if reason else ""
        assert why_stopped(Session(config, run, lease), len(verdicts)) == reason + key
