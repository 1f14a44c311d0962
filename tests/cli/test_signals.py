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


IGNORING = """
import os, signal
from strop.cli import main

def work(**_):
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGTERM)

main.app = work
main.main()
"""


def test_a_run_under_nohup_outlives_its_terminal_and_can_still_be_ended() -> None:
    done = subprocess.run(
        ["nohup", sys.executable, "-c", IGNORING], capture_output=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 143, "SIGTERM, after a SIGHUP that did nothing"


STARTING = """
import signal, subprocess, sys
from strop.cli.signals import heeded

ASK = [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT))"]
with heeded(signal.SIGINT):
    print(subprocess.run(ASK, capture_output=True, text=True, check=True).stdout.strip())
print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
"""


def test_what_we_end_by_ctrl_c_heeds_it_where_we_do_not() -> None:
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", STARTING]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    handler, ignored = done.stdout.splitlines()
    assert "default_int_handler" in handler
    assert ignored == "True"


LOST = """
import os, signal, sys, time
from rich.console import Console
from strop.cli import main
from strop.cli.display import Display

class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
        time.sleep(0.1)

def work(**_):
    display = Display(Console(stderr=True))
    display.started("train")
    item = Finalised()
    del item
    display.{meets}
    print("went on")

main.app = work
main.main()
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("meets", ['started("rerank")', 'advanced("train", 1)'])
def test_a_signal_whose_exception_python_drops_ends_at_the_next_stage_or_step(
    name: str, code: int, meets: str
) -> None:
    script = LOST.format(name=name, meets=meets)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "Exception ignored in" in done.stderr
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.endswith(f"\n{RESUME}\n")
