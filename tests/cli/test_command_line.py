import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "--bogus"], "error: No such option: --bogus; strop run --help tells what there"),
        (["nope"], "error: No such command 'nope'; strop --help tells what there is"),
        (["round", "x.yaml"], "error: Missing option '--round'; strop round --help tells what"),
        (["round", "x.yaml", "--round", "0"], "error: Invalid value for '--round': "),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(arguments, line):
    done = subprocess.run(
        [sys.executable, "-m", "strop.cli", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
