"""The libraries and the device that an artifact was made with."""

import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = (
    "strop",
    "torch",
    "transformers",
    "sentence-transformers",
    "faiss-cpu",
    "pyarrow",
    "numpy",
    "prefect",
)


@cache
def library_versions() -> dict[str, str]:
    """The versions of the libraries that decide results, and of Python."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def device_name() -> str:
    """The accelerator that torch would use if torch is loaded, else the processor's type."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"cpu ({platform.machine()})"
