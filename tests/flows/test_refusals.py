"""What the log of a flow run says of what a person can mend."""

import logging

import pytest

import strop.flows  # noqa: F401, a worker imports no more of ours than a flow
from strop.artifacts.errors import Busy
from strop.pipeline.errors import InputError, WorkLost


@pytest.fixture
def log():
    """Prefect's logger of flow runs, and what comes out of it."""
    logger, lines = logging.getLogger("prefect.flow_runs"), []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(logging.Formatter().format(record))
    logger.addHandler(handler)
    yield logger, lines
    logger.removeHandler(handler)


def raised(error, log, *runs):
    """Log an error as prefect does, in the log of each of these flow runs."""
    try:
        raise error
    except type(error):
        for run in runs:
            log.error(
                "Encountered exception during execution", exc_info=True, extra={"flow_run_id": run}
            )


@pytest.mark.parametrize("error", [InputError("data: no such folder"), Busy("run tiny: is on")])
def test_a_refusal_is_one_line_in_the_log_of_every_run_that_it_ends(log, error):
    logger, lines = log
    raised(error, logger, "prepare", "improve", "improve")
    assert lines == [f"refused: {error}"] * 2


def test_lost_work_is_one_line_and_no_refusal(log):
    logger, lines = log
    raised(WorkLost("the cluster lost a shard"), logger, "improve", "improve")
    assert lines == ["lost: the cluster lost a shard"]


def test_a_fault_keeps_its_traceback(log):
    logger, lines = log
    raised(KeyError("gone"), logger, "improve", "improve")
    assert len(lines) == 2
    assert all("Traceback" in line and "KeyError: 'gone'" in line for line in lines)
