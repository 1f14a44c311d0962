"""Threads that wait for each other leave their cores to others, unless the user says otherwise."""

import os
import re
import subprocess
import sys

import pytest

VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


@pytest.mark.skipif(sys.platform != "linux", reason="torch comes with another OpenMP there")
@pytest.mark.parametrize(
    ("said", "turns"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "77"}, "77"),
        ({"OMP_WAIT_POLICY": "passive"}, "0"),
    ],
    ids=["nothing said", "turns said", "policy said"],
)
def test_the_library_of_threads_waits_so_long(said: dict[str, str], turns: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", "import strop.pipeline.scoring.reranker"],
        env={**inherited, **said, "OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    assert told
    assert set(told) == {turns}
