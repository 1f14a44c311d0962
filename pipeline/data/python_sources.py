"""The source files of the Python packages that are installed anyway."""

import contextlib
import importlib.metadata
import importlib.util
import platform
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

STANDARD_LIBRARY = "python"

# The sources beside the standard library by their import names, which are their distributions'
# names too, but for case, except where the next table says otherwise.
PACKAGES = (
    *("huggingface_hub", "matplotlib", "networkx", "numpy", "prefect", "pyarrow", "pydantic"),
    *("scipy", "sentence_transformers", "sklearn", "sqlalchemy", "sympy", "torch", "transformers"),
)
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
GROUP_DEPTHS = {STANDARD_LIBRARY: 1, "networkx": 3, "sqlalchemy": 3}

_SKIPPED_FOLDER = re.compile(
    r".*[.-]|__pycache__$|_(decomp|dynamo|export|inductor|lib|numpy|refs|vendor|vendored)$"
    r"|(tests?|testing|bench|benchmarks|cli|csrc|distutils|ensurepip|externs?|externals|f2py"
    r"|idlelib|lib2to3|models|onnx|sandbox|site_packages|turtledemo|array_api_.*)$"
)
_SKIPPED_FILE = re.compile(r"^(test_.*|.*_tests?|testing.*|conftest|setup|.*_pb2|__main__)$")


def documentation_sources() -> dict[str, str]:
    """The version of Python and of each source package that is installed, by distribution."""
    versions = {STANDARD_LIBRARY: platform.python_version()}
    for distribution in (DISTRIBUTIONS.get(package, package) for package in PACKAGES):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[distribution] = importlib.metadata.version(distribution)
    return versions


def files_by_group() -> dict[str, list[tuple[Path, str]]]:
    """The source files (path and dotted module name) of every group, in sorted order."""
    groups: dict[str, list[tuple[Path, str]]] = {}
    for package in (STANDARD_LIBRARY, *PACKAGES):
        folder = _folder(package)
        if folder is None:
            continue
        depth = GROUP_DEPTHS.get(package, 2)
        for path in _source_files(folder):
            module = _module_name(path.relative_to(folder), package)
            group = ".".join(module.split(".")[:depth])
            groups.setdefault(group, []).append((path, module))
    return groups


def _folder(package: str) -> Path | None:
    """The folder with a package's sources, or None if it is not installed."""
    if package == STANDARD_LIBRARY:
        return Path(sysconfig.get_paths()["stdlib"])
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def _source_files(folder: Path) -> Iterator[Path]:
    """The .py files under a folder, sorted; without tests and vendored code."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.is_dir():
            if not _SKIPPED_FOLDER.match(path.name):
                yield from _source_files(path)
        elif path.suffix == ".py" and not _SKIPPED_FILE.match(path.stem):
            yield path


def _module_name(relative: Path, package: str) -> str:
    """The public-looking dotted name: private files count as their parent package's."""
    parts = [part for part in relative.with_suffix("").parts if part != "__init__"]
    if package == STANDARD_LIBRARY:
        return ".".join(part.lstrip("_") for part in parts)
    public = [part for part in parts[:-1] if part != "_core"]
    public += [part for part in parts[-1:] if not part.startswith("_")]
    return ".".join([package, *(part.lstrip("_") for part in public)])
