"""Signals that come upon libraries which make errors of their own of what they raise."""

import subprocess
import sys

import pytest

from strop.cli.signals import RESUME

STRUCK = """
import os, signal, sys
from pydantic import BaseModel, model_serializer
from strop.cli import main
from strop.cli.signals import stoppable

class Written(BaseModel):
    @model_serializer(mode="wrap")
    def write(self, handler):
        {strike}

def work(**_):
    Written().model_dump()

main.app = work
main.main()
"""


@pytest.mark.parametrize(
    ("strike", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGINT)", 130),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143),
        # What Prefect raises for SIGTERM while a flow runs:
        ("from prefect.exceptions import TerminationSignal as T; raise T(signal.SIGTERM)", 143),
    ],
    ids=["Ctrl-C", "SIGTERM", "SIGTERM in a flow"],
)
def test_a_signal_in_the_midst_of_writing_a_model_ends_as_any_other(strike: str, code: int) -> None:
    script = STRUCK.format(strike=strike)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, f"\n{RESUME}\n")


def test_an_error_without_a_signal_stays_one() -> None:
    script = STRUCK.format(strike="raise ValueError('of its own')")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: this is a fault of strop; please report the lines above" in done.stderr
