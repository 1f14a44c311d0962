"""Runs the CUDA kernels of `pipeline/scoring` on a CPU, compiled by g++ as they are; in bf16."""

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from strop.pipeline.scoring.gpu_kernels import KERNELS, SOURCES, in_c

HEADER = Path(__file__).with_suffix(".hpp")
COMPILER = shutil.which("g++")


class Index(ctypes.Structure):
    """Where a thread or block is, or how many there are."""

    _fields_ = [(axis, ctypes.c_int) for axis in "xyz"]


@cache
def kernels(file: str, device: Any, width: int, *macros: str) -> dict[str, Any]:
    """What `gpu_kernels.kernels` gives, for tensors of a CPU."""
    library = _compiled(file, (f"WIDTH={width}", *macros))
    return {name: _callable(getattr(library, f"run_{name}")) for name in KERNELS[file]}


def _compiled(file: str, macros: tuple[str, ...]) -> ctypes.CDLL:
    included = (HEADER, SOURCES / "half.cu", SOURCES / f"{file}.cu")
    runs = (
        f'extern "C" void run_{name}(Index grid, Index block, void** given)'
        f" {{ call({name}, grid, block, given); }}"
        for name in KERNELS[file]
    )
    lines = (*(f'#include "{path}"' for path in included), *runs)
    command = [COMPILER, "-std=c++20", "-O1", "-shared", "-fPIC", "-pthread", "-w"]
    command += [f"-D{macro}" for macro in macros]
    with tempfile.TemporaryDirectory(prefix="strop-kernels-") as folder:
        source, made = Path(folder) / "kernels.cpp", Path(folder) / "kernels.so"
        source.write_text("\n".join(lines) + "\n")
        subprocess.run([*command, source, "-o", made], check=True)
        return ctypes.CDLL(str(made))


def _callable(run: Any) -> Any:
    def call(grid: Any, block: Any, args: list[Any]) -> None:
        run(Index(*grid), Index(*block), in_c(args))

    return call
