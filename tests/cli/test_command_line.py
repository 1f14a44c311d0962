import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "command", [["mine", "tiny", "--round", "1"], ["review", "tiny"], ["assess", "strop.yaml"]]
)
def test_a_command_for_a_run_that_is_there_makes_no_store_in_a_wrong_folder(tmp_path, command):
    (tmp_path / "strop.yaml").write_text("name: tiny\n")
    done = subprocess.run(
        [sys.executable, "-m", "strop.cli", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "STROP_STORE"},
    )
    assert done.returncode == 2
    assert done.stderr == "error: store .strop: no such folder; give --store\n"
    assert [path.name for path in tmp_path.iterdir()] == ["strop.yaml"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "--bogus"], "error: No such option: --bogus; strop run --help tells what there"),
        (["nope"], "error: No such command 'nope'; strop --help tells what there is"),
        (
            ["run", "x.yaml", "--preset", "best"],
            "error: Invalid value for '--preset': 'best' is not",
        ),
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


@pytest.mark.parametrize("group", [[], ["champion"], ["artifacts"], ["export"]])
def test_a_group_without_its_command_prints_its_help_alone(group):
    done = subprocess.run(
        [sys.executable, "-m", "strop.cli", *group], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Usage: " in done.stdout
    assert done.stderr == ""
