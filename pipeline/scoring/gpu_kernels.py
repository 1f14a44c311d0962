"""CUDA kernels of this folder, compiled for a width when they are first used.

NVRTC compiles them, which comes with every CUDA build of PyTorch: neither a compiler nor CUDA's
headers have to be there. Where it is missing all the same, layers go on by PyTorch's own kernels.
"""

import ctypes
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.cuda import _utils as cuda

SOURCES = Path(__file__).parent
KERNELS = {"residual_norm": ("sum_and_norm", "norm_gradients"), "gelu": ("gelu_gradients",)}
"""The kernels of every file."""
ALIGNED = 8
"""A row's numbers are read so many at a time: its width must be a multiple."""
FP16 = {torch.float16: ("FP16",), torch.bfloat16: ()}
"""The macros that say of which 16 bits rows are."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kernel:
    """A kernel on one GPU."""

    function: ctypes.c_void_p
    device: int

    def __call__(
        self,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        args: Sequence[torch.Tensor | int],
    ) -> None:
        """Put it behind what the present stream has to do; raises `RuntimeError` if it cannot."""
        given = in_c(args)
        stream = ctypes.c_void_p(torch._C._cuda_getCurrentRawStream(self.device))
        failed = _driver().cuLaunchKernel(self.function, *grid, *block, 0, stream, given, None)
        if failed:
            raise RuntimeError(f"CUDA error {failed} when a kernel was started")


def in_c(args: Sequence[torch.Tensor | int]) -> Any:
    """An array of the addresses of arguments, which it keeps alive, as C calls a kernel with."""
    given = [
        ctypes.c_void_p(value.data_ptr())
        if isinstance(value, torch.Tensor)
        else ctypes.c_int(value)
        for value in args
    ]
    places: Any = (ctypes.c_void_p * len(given))(*(ctypes.addressof(value) for value in given))
    places.kept = given
    return places


@cache
def _driver() -> ctypes.CDLL:
    return cuda._get_cuda_library()


@cache
def available(device: int) -> bool:
    """Whether kernels can be compiled for a GPU and run on it."""
    try:
        kernels("gelu", device, ALIGNED)
        kernels("residual_norm", device, ALIGNED, "EPSILON=1e-5f")
    except (AttributeError, OSError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        logger.warning("PyTorch's kernels are used between dense layers: %s", reason)
        return False
    return True


@cache
def kernels(file: str, device: int, width: int, *macros: str) -> dict[str, Kernel]:
    """The kernels of a file of this folder by name, for rows of ``width`` numbers.

    Raises `RuntimeError` with the compiler's words.
    """
    source = "\n".join((SOURCES / f"{part}.cu").read_text() for part in ("half", file))
    with torch.cuda.device(device):
        code = _compiled(source, (f"WIDTH={width}", *macros))
        loaded: Any = cuda._cuda_load_module(code, list(KERNELS[file]))
    return {name: Kernel(made.func, device) for name, made in loaded.items()}


def _compiled(source: str, macros: tuple[str, ...]) -> bytes:
    """The machine code for the present GPU."""
    library, program = cuda._get_nvrtc_library(), ctypes.c_void_p()
    major, minor = torch.cuda.get_device_capability()
    options = [f"--gpu-architecture=sm_{major}{minor}", *(f"-D{macro}" for macro in macros)]
    given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), None, 0, None, None)
    try:
        if library.nvrtcCompileProgram(program, len(options), given):
            raise RuntimeError(_read(library, program, "ProgramLog").decode())
        return _read(library, program, "CUBIN")
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _read(library: Any, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    held = ctypes.create_string_buffer(size.value)
    getattr(library, f"nvrtcGet{what}")(program, held)
    return held.raw
