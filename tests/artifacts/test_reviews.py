from pathlib import Path

import pytest

from strop.artifacts.errors import Busy, Conflict, Damaged
from strop.artifacts.reviews import ReviewLog, review_lease
from strop.artifacts.runs import Run
from strop.artifacts.store import Store


@pytest.fixture
def run(store: Store) -> Run:
    return Run(store, "small")


def log_file(run: Run) -> Path:
    return run.folder / "review" / "log.jsonl"


def test_the_last_verdict_of_a_pair_counts_and_is_there_again_after_a_restart(run: Run) -> None:
    with review_lease(run) as lease:
        log = ReviewLog(run, lease)
        log.give(("q1", "p1"), "unsure")
        log.give(("q1", "p2"), "relevant")
        log.give(("q1", "p1"), "relevant")
        assert log.verdicts == {("q1", "p1"): "relevant", ("q1", "p2"): "relevant"}
    assert ReviewLog(run).verdicts == log.verdicts


def test_undoing_brings_the_verdict_before_back(run: Run) -> None:
    with review_lease(run) as lease:
        log = ReviewLog(run, lease)
        log.give(("q1", "p1"), "unsure")
        log.give(("q1", "p1"), "relevant")
        assert log.undo() == ("q1", "p1")
        assert log.verdicts == ReviewLog(run).verdicts == {("q1", "p1"): "unsure"}
        assert log.undo() == ("q1", "p1")
        assert log.undo() is None
        assert ReviewLog(run).verdicts == {}


def test_verdicts_of_a_file_are_not_undone_by_one_key(run: Run) -> None:
    with review_lease(run) as lease:
        log = ReviewLog(run, lease)
        log.give(("q1", "p1"), "unsure")
        log.add({("q1", "p2"): "relevant", ("q1", "p3"): "relevant"})
        assert log.undoable is None
        assert log.undo() is None
        assert len(ReviewLog(run).verdicts) == 3


@pytest.mark.parametrize("length", range(1, 60, 7))
def test_a_line_that_was_half_written_is_no_entry_and_is_written_over(
    run: Run, length: int
) -> None:
    with review_lease(run) as lease:
        log = ReviewLog(run, lease)
        log.give(("q1", "p1"), "relevant")
        whole = log_file(run).read_bytes()
        log.add({("q1", f"p{number}"): "unsure" for number in range(2, 9)})
        log_file(run).write_bytes(log_file(run).read_bytes()[: len(whole) + length])
        again = ReviewLog(run, lease)
        assert again.verdicts == {("q1", "p1"): "relevant"}
        again.give(("q1", "ü"), "not relevant")
        assert ReviewLog(run).verdicts == again.verdicts
    assert log_file(run).read_bytes().startswith(whole)
    assert log_file(run).read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("line", ["no json", "[]", '{"undo": true}', '{"verdicts": [["q"]]}'])
def test_a_line_that_is_no_entry_is_named(run: Run, line: str) -> None:
    log_file(run).parent.mkdir(parents=True)
    log_file(run).write_text(line + "\n", encoding="utf-8")
    with pytest.raises(Damaged, match=r"log\.jsonl line 1: not an entry"):
        ReviewLog(run)


def test_one_process_reviews_a_run_at_a_time(run: Run) -> None:
    with review_lease(run) as lease:
        with pytest.raises(Busy, match="review of run small: process"), review_lease(run):
            pass
        log = ReviewLog(run, lease)
    with pytest.raises(Conflict):
        log.give(("q1", "p1"), "relevant")
    assert ReviewLog(run).verdicts == {}
