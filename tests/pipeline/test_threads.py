"""Threads that wait for each other leave their cores to others, unless the user says otherwise."""

import os
import re
import subprocess
import sys

import pytest

from strop.pipeline.threads import processors

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
        [sys.executable, "-c", "import strop.pipeline, torch"],
        env={**inherited, **said, "OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    assert told
    assert set(told) == {turns}


@pytest.mark.parametrize(
    ("said", "given", "threads"),
    [
        ({}, None, "None"),
        ({"LOKY_MAX_CPU_COUNT": "1"}, None, "1"),
        ({"LOKY_MAX_CPU_COUNT": "1"}, 2, "2"),
        ({"LOKY_MAX_CPU_COUNT": "1", "OMP_NUM_THREADS": "2"}, None, "2"),
    ],
    ids=["a host", "a share", "the config says", "the environment says"],
)
def test_threads_are_those_of_the_share_of_the_host(
    said: dict[str, str], given: int | None, threads: str
) -> None:
    if processors() < 2 or processors() < (os.cpu_count() or 1):
        pytest.skip("needs a whole host of two processors or more")
    code = (
        f"import os; from strop.pipeline.threads import use_threads; use_threads({given}); "
        "print(os.environ.get('OMP_NUM_THREADS'))"
    )
    inherited = {n: v for n, v in os.environ.items() if n not in (*VARIABLES, "OMP_NUM_THREADS")}
    found = subprocess.check_output(
        [sys.executable, "-c", code], env={**inherited, **said}, text=True
    )
    assert found.strip() == threads, "what torch reads when it is loaded"
