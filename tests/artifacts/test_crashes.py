"""A writer that dies at random points; `python benchmarks/crashes.py` tries a hundred."""

import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[2] / "benchmarks" / "crashes.py"


def strike(points: int, seed: int, *options: str) -> str:
    command = [sys.executable, str(HARNESS), "--points", str(points), "--seed", str(seed), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_writer_that_dies_leaves_a_whole_store_that_goes_on() -> None:
    told = strike(5, 1)
    assert "problems: none" in told
    assert "kill at a call     1 tried,    1 ended the writer" in told


@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_deaths_and_lost_answers_in_a_bucket() -> None:
    told = strike(18, 3, "--store", "s3")
    assert "problems: none" in told
    assert "kill after         3 tried,    3 ended the writer" in told


@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_a_hundred_deaths() -> None:
    assert "problems: none" in strike(100, 2)
