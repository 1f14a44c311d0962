"""All steps side by side, one after another.

    python -m benchmarks.speed DATA --peers PYTHON [--scripts FLAGEMBEDDING/scripts] [--quick]

With ``--quick`` fewer alternations are run, the whole loop is left out and nothing written: ratios
are compared with the committed tables, and the exit code is 1 when one fell by more than 15 % below
that of the same processor.
Without ``--scripts`` mining and the whole loop are left out. Where there is a GPU,
`benchmarks.speed.gpu` follows, unless ``--quick``.
"""

import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.speed import inputs

STEPS = ("scoring", "training", "encoding", "mining", "loop")
WITH_SCRIPTS = ("mining", "loop")


def main() -> None:
    """Run the steps; the exit code is that of the worst."""
    parser = inputs.parser("Every step, side by side.")
    parser.add_argument("--scripts", type=Path)
    given = inputs.parsed(parser)
    shared = [str(given.data), "--peers", given.peers, "--threads", str(given.threads)]
    shared += ["--rounds", str(given.rounds), "--seed", str(given.seed)]
    shared += ["--quick"] if given.quick else []
    worst = 0
    for step in STEPS:
        if step in WITH_SCRIPTS and given.scripts is None:
            print(f"{step} is left out: give --scripts", flush=True)
            continue
        if step == "loop" and given.quick:
            print("loop is left out: one turn takes ten minutes and more", flush=True)
            continue
        more = ["--scripts", str(given.scripts)] if step in WITH_SCRIPTS else []
        command = [sys.executable, "-m", f"benchmarks.speed.{step}", *shared, *more]
        worst = max(worst, subprocess.run(command, check=False).returncode)
    if torch.cuda.is_available() and not given.quick:
        command = [sys.executable, "-m", "benchmarks.speed.gpu", "--peers", given.peers]
        worst = max(worst, subprocess.run(command, check=False).returncode)
    raise SystemExit(worst)


if __name__ == "__main__":
    main()
