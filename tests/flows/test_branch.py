"""A branch begins whole or not at all, whatever strikes it and whoever else begins it."""

import pytest

from strop.artifacts.errors import StoreError
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run, run_names
from strop.artifacts.store import Store
from strop.flows.branch import branched
from strop.flows.session import PREPARE, round_part
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError

CHANGES = {"training.temperature": 0.5}


def ref(kind, digit):
    return ArtifactRef(kind, digit * 16, digit * 64)


@pytest.fixture
def parent(tmp_path):
    """A run with two rounds."""
    run = Run(Store(tmp_path / "store"), "tiny")
    run.claim({**Config(name="tiny").identity(), "dataset": "dataset 0123456789abcdef"})
    with run.lease() as lease:
        run.record(lease, PREPARE, {"metrics_dev": ref("metrics", "0")})
        for number in (1, 2):
            run.record(lease, round_part(number), {"decision": ref("decision", str(number))})
    return run


def begin(parent, number, changes=CHANGES):
    return branched(parent.store, Config(name="tiny"), "hot", number, changes)


@pytest.mark.parametrize("struck", ["first", "second", "claim"])
def test_a_branch_that_is_struck_while_it_begins_begins_again(parent, monkeypatch, struck):
    record, seen = Run.record, []

    def strike(self, lease, part, refs):
        seen.append(part)
        if len(seen) == ("first", "second").index(struck) + 1:
            raise KeyboardInterrupt
        record(self, lease, part, refs)

    def strike_claim(self, config, *, read):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if struck == "claim":
            patch.setattr(Run, "claim", strike_claim)
        else:
            patch.setattr(Run, "record", strike)
        with pytest.raises(KeyboardInterrupt):
            begin(parent, 3)
    config = begin(parent, 3)
    assert (config.name, config.training.temperature) == ("tiny.hot", 0.5)
    assert Run(parent.store, "tiny.hot").parts() == parent.parts()


def test_a_branch_of_which_an_earlier_strop_recorded_the_config_alone_begins_again(parent):
    record = begin(parent, 3).identity()
    other = Run(parent.store, "tiny.other")
    other.claim({**record, "name": "tiny.other", "dataset": "dataset 0123456789abcdef"})
    branched(parent.store, Config(name="tiny"), "other", 3, CHANGES)
    assert other.parts() == parent.parts()


def test_a_branch_that_was_struck_before_it_had_a_config_can_be_forgotten(parent):
    with Run(parent.store, "tiny.hot").lease() as lease:
        Run(parent.store, "tiny.hot").record(lease, PREPARE, parent.parts()[PREPARE])
    assert run_names(parent.store) == {"tiny", "tiny.hot"}


def test_a_branch_that_was_to_begin_later_takes_no_round_of_the_run_for_its_own(
    parent, monkeypatch
):
    def strike(self, config, *, read):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "claim", strike)
        with pytest.raises(KeyboardInterrupt):
            begin(parent, 3)
    with pytest.raises(InputError, match=r"tiny\.hot: was to begin with round 3"):
        begin(parent, 1)


def test_who_begins_it_a_moment_later_leaves_its_rounds_as_they_are(parent, monkeypatch):
    begin(parent, 2)
    branch, own = Run(parent.store, "tiny.hot"), ref("decision", "9")
    with branch.lease() as lease:
        branch.record(lease, round_part(2), {"decision": own})
    looks = iter([None])  # as another process saw it before the branch was there
    look = Run.config_or_none
    monkeypatch.setattr(Run, "config_or_none", lambda run: next(looks, look(run)))
    begin(parent, 3)
    assert branch.parts()[round_part(2)]["decision"] == own
    looks = iter([None])
    with pytest.raises(StoreError, match=r"training\.temperature"):
        begin(parent, 3, {"training.temperature": 0.7})
