"""What is piped has no control codes; a terminal's style obeys NO_COLOR."""

import os
import pty
import re
import subprocess
import sys

import pytest

STROP = [sys.executable, "-m", "strop.cli"]
STYLE = re.compile(r"\x1b\[[0-9;]*m")
FORCED = {"FORCE_COLOR": "1", "GITHUB_ACTIONS": "1", "TTY_COMPATIBLE": "1"}


def environment(**values):
    ours = ("NO_COLOR", *FORCED)
    return {**{k: v for k, v in os.environ.items() if k not in ours}, "TERM": "xterm", **values}


def on_terminal(command, **values):
    """All that a command writes to a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(**values),
    )
    os.close(theirs)
    out = b""
    while True:
        try:
            read = os.read(ours, 65536)
        except OSError:  # what Linux says when the other end is closed
            break
        if not read:
            break
        out += read
    os.close(ours)
    assert process.wait() == 0, out.decode()
    return out.decode()


STYLED = [
    sys.executable,
    "-c",
    "import strop.cli.output as o; o.console().print('x', style='bold red')",
]


@pytest.mark.parametrize("command", [[*STROP, "--help"], STYLED], ids=["help", "output"])
def test_a_pipe_has_no_control_codes_and_a_terminal_under_no_color_no_style(command):
    done = subprocess.run(
        command, env=environment(**FORCED), capture_output=True, text=True, check=True
    )
    assert done.stdout
    assert "\x1b" not in done.stdout + done.stderr

    plain = on_terminal(command, NO_COLOR="1")
    assert plain
    assert "\x1b" not in plain, "neither colour nor bold nor italic"
    assert STYLE.search(on_terminal(command)), "a terminal without NO_COLOR has style"
