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

class Termination(BaseException):
    pass

def other(number, frame):
    raise Termination

class Written(BaseModel):
    @model_serializer(mode="wrap")
    def write(self, handler):
        {strike}

def work(**_):
    {write}

main.app = work
main.main()
"""


@pytest.mark.parametrize("write", ["Written().model_dump()", "Written().model_dump_json()"])
@pytest.mark.parametrize(
    ("strike", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGINT)", 130),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143),
        # As Prefect handles SIGTERM while a flow runs:
        ("signal.signal(signal.SIGTERM, other); os.kill(os.getpid(), signal.SIGTERM)", 143),
    ],
    ids=["Ctrl-C", "SIGTERM", "SIGTERM in a flow"],
)
def test_a_signal_in_the_midst_of_writing_a_model_ends_as_any_other(
    strike: str, code: int, write: str
) -> None:
    script = STRUCK.format(strike=strike, write=write)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, f"\n{RESUME}\n")


def test_an_error_without_a_signal_stays_one() -> None:
    strike = "raise ValueError('of its own')"
    script = STRUCK.format(strike=strike, write="Written().model_dump()")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: this is a fault of strop; please report the lines above" in done.stderr
