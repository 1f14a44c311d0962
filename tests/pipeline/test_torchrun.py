"""How the end of torchrun is told."""

from pathlib import Path

import pytest

from strop.pipeline.errors import InputError, WorkLost
from strop.pipeline.training.torchrun import KILLED, Width, _failure


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "torchrun.log"
    path.write_text("KeyError: 'gone'\n")
    return path


def test_torchrun_killed_from_outside_is_no_fault_of_the_code(log: Path) -> None:
    """As the kernel kills it where memory ends; its log is empty then, or says nothing of it."""
    failure = _failure(-9, log, Width(2))
    assert isinstance(failure, WorkLost)
    assert str(failure) == (
        "training: torchrun was ended by SIGKILL, which strop did not send; the same command "
        "resumes"
    )


def test_a_process_that_is_killed_too_often_may_lack_memory(log: Path) -> None:
    failure = _failure(KILLED, log, Width(2))
    assert isinstance(failure, InputError)
    assert "lower training.graph_tokens or execution.processes" in str(failure)


def test_an_error_of_the_processes_is_told_with_the_end_of_their_log(log: Path) -> None:
    failure = _failure(1, log, Width(2))
    assert type(failure) is RuntimeError
    assert "KeyError: 'gone'" in str(failure)
