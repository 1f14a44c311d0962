"""The orchestration benchmark: the same run with Prefect, and with the stages called as functions.

    python -m benchmarks.orchestration --pairs 5 [--config strop.yaml] [--together]

over tiny made-up data and models, or over what a config of your own names.
Each pair is two processes with a fresh store each, in turns one or the other first: `improve` as a
flow against a warm server, and `improve` with `prefect.flow` and `prefect.task` replaced by plain
calls before anything of strop is imported. Imports and the start of the server are not counted.
With ``--together`` both run at the same time, so that they meet the same machine; they need a
processor each, and the server's work is then done beside both.
Wall time is what a user waits; processor time of the process is told too, since it hardly depends
on what else the machine does.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.fault_place import STROP, Place, make_place


def plain_prefect() -> None:
    """Replace Prefect's decorators and run logger by what a program without Prefect would have."""
    import logging

    import prefect
    import prefect.logging
    from prefect.client.schemas.objects import State

    class Result:
        def __init__(self, value: Any) -> None:
            self.value = value

        def result(self) -> Any:
            return self.value

    def plain(function: Any = None, **options: Any) -> Any:
        if function is None:
            return lambda wrapped: plain(wrapped, **options)

        def called(*arguments: Any, return_state: bool = False, **values: Any) -> Any:
            found = function(*arguments, **values)
            found = found.data if isinstance(found, State) else found
            return Result(found) if return_state else found

        called.description = ""  # type: ignore[attr-defined]
        return called

    prefect.flow = prefect.task = plain
    prefect.logging.get_run_logger = lambda *_: logging.getLogger("plain")  # type: ignore[assignment]


def child(config: Path, store: Path, *, orchestrated: bool) -> None:
    """One run; prints its wall and processor seconds."""
    from strop.cli.output import Loudness, console, set_loudness

    set_loudness(Loudness.QUIET)
    if orchestrated:
        from strop.cli.running import prefect_server

        with prefect_server(console(stderr=True)):
            _measure(config, store)
    else:
        plain_prefect()
        _measure(config, store)


def _measure(config: Path, store: Path) -> None:
    from strop.cli.config_file import load_config
    from strop.flows.improve import improve

    # What both need anyway, so that neither is charged for who loads it first.
    for name in ("torch", "transformers", "sentence_transformers", "faiss", "matplotlib.pyplot"):
        __import__(name)
    read = load_config(config)
    wall, processor = time.perf_counter(), time.process_time()
    improve(read, store)
    times = (time.perf_counter() - wall, time.process_time() - processor)
    print(json.dumps(times), flush=True)


def measure(
    pairs: int, folder: Path, config: Path | None, *, together: bool
) -> list[tuple[list[float], list[float]]]:
    """Wall and processor seconds of each pair: with Prefect, and plain."""
    place, found = make_place(folder), []
    tiny = place.folder / "strop.yaml"
    subprocess.run([*STROP, "ui", "--url"], env=place.environment, check=True, capture_output=True)
    try:
        for number in range(-1, pairs):
            order = (True, False) if number % 2 else (False, True)
            chosen = tiny if number < 0 else config or tiny  # the first pair warms up
            started = {}
            for kind in order:
                started[kind] = _Started(place, chosen, number, orchestrated=kind)
                if not together:
                    started[kind].wait()
            times = {kind: started[kind].seconds() for kind in order}
            if number >= 0:
                found.append((times[True], times[False]))
                print(f"{number + 1:>3}: {times[True]} with Prefect, {times[False]} plain")
    finally:
        subprocess.run([*STROP, "ui", "--stop"], env=place.environment, capture_output=True)
    return found


class _Started:
    """A run in a process of its own, with a store that it leaves nothing of."""

    def __init__(self, place: Place, config: Path, number: int, *, orchestrated: bool) -> None:
        kind = "orchestrated" if orchestrated else "plain"
        self._store = place.folder / f"store-{number}-{kind}"
        command = [sys.executable, "-m", "benchmarks.orchestration", "--child", kind]
        self._log = self._store.with_suffix(".log")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, str(self._store), "--config", str(config)],
                env=place.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        """Wait for its end."""
        self._process.wait()

    def seconds(self) -> list[float]:
        """Its wall and processor seconds."""
        code, text = self._process.wait(), self._log.read_text()
        if code:
            sys.exit(f"a run failed: {text[-2000:]}")
        shutil.rmtree(self._store)
        return [round(value, 2) for value in json.loads(text.splitlines()[-1])]


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description="What Prefect adds to a run.")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--together", action="store_true", help="both runs at the same time")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--config", type=Path, help="a run of your own instead of a tiny one")
    arguments = parser.parse_args()
    if arguments.child:
        kind, store = arguments.child
        child(arguments.config, Path(store), orchestrated=kind == "orchestrated")
        return
    folder = Path(tempfile.mkdtemp(prefix="strop-orchestration-"))
    try:
        found = measure(arguments.pairs, folder, arguments.config, together=arguments.together)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for index, name in enumerate(("wall", "processor")):
        extra = [with_prefect[index] - plain[index] for with_prefect, plain in found]
        alone = statistics.median(plain[index] for _, plain in found)
        print(
            f"{name}: plain {alone:.2f} s (median), Prefect adds {statistics.median(extra):.2f} s "
            f"(median of {len(extra)} pairs, {min(extra):.2f} to {max(extra):.2f})"
        )
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
