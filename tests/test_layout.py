"""The rules of the layout: who imports whom, what loads when, and what the wheel contains."""

import ast
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("artifacts", "pipeline", "tasks", "flows", "cli")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

MAY_IMPORT = {
    "artifacts": (),
    "pipeline": ("strop.artifacts.schemas",),
    "tasks": ("strop.pipeline", "strop.artifacts"),
    "flows": ("strop.tasks", "strop.pipeline.config", "strop.pipeline.errors", "strop.artifacts"),
    "cli": ("strop.flows", "strop.pipeline.config", "strop.pipeline.errors", "strop.artifacts"),
}
"""What a layer may import besides itself and `strop.__version__`; a prefix stands for a package."""

EXCEPTIONS = {
    ("flows/at_hand.py", "strop.pipeline.data.configured.configured_request"),  # a check, no stage
    ("flows/at_hand.py", "strop.pipeline.models.check_folder"),
    ("flows/check_data.py", "strop.pipeline.data.importing.import_files"),  # a check, no stage
    ("flows/check_data.py", "strop.pipeline.data.importing.Request"),
    ("flows/check_data.py", "strop.pipeline.data.truncation.Truncation"),
    ("flows/check_data.py", "strop.pipeline.data.validation.Defects"),
    ("flows/check_data.py", "strop.pipeline.progress.Progress"),
    ("flows/check_data.py", "strop.pipeline.progress.SILENT"),
    ("flows/import_data.py", "strop.pipeline.data.documentation.DocumentationSizes"),  # a parameter
    ("flows/import_data.py", "strop.pipeline.data.importing.Request"),  # a parameter
    ("flows/session.py", "strop.pipeline.threads.use_threads"),  # once a process, before any stage
}
"""(file, imported name) of the imports that break a rule knowingly; unused ones fail a test."""

HEAVY = ("torch", "transformers", "sentence_transformers", "faiss", "accelerate")
MAY_LOAD_HEAVY = ("pipeline/first_stage/", "pipeline/scoring/", "pipeline/training/")
OFTEN_INSTALLED = {"datasets", "evaluate"}
"""Packages that our users have though this environment may not."""
NOT_AT_START = ("torch", "transformers", "sentence_transformers", "faiss", "prefect")


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(node: ast.AST) -> list[str]:
    """The full names that one statement imports: ``from a import b`` imports ``a.b``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names]
    return []


def imports(path: Path) -> list[str]:
    """Everything that a file imports, at any depth."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [found for node in ast.walk(tree) for found in imported(node)]


def imports_at_load(path: Path) -> list[str]:
    """What a file imports when it is loaded: not inside functions, nor for type checkers only."""

    def visit(node: ast.AST) -> Iterator[str]:
        yield from imported(node)
        for child in ast.iter_child_nodes(node):
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if not is_function and not _for_type_checkers(child):
                yield from visit(child)

    return list(visit(ast.parse(path.read_text(encoding="utf-8"))))


def _for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def breaches() -> set[tuple[str, str]]:
    """(file, imported name) of every import of ours that its layer's rule does not allow."""
    return {
        (name(path), module)
        for layer, allowed in MAY_IMPORT.items()
        for path in sources(layer)
        for module in imports(path)
        if within(module, "strop")
        and not within(module, f"strop.{layer}", "strop.__version__", *allowed)
    }


def test_no_layer_imports_what_it_may_not() -> None:
    assert breaches() - EXCEPTIONS == set()


def test_every_exception_is_still_needed() -> None:
    assert EXCEPTIONS - breaches() == set()


@pytest.mark.parametrize("layer", ["artifacts", "pipeline", "strop"])
def test_store_and_domain_never_import_prefect(layer: str) -> None:
    found = {name(path) for path in sources(layer) if within_any(imports(path), "prefect")}
    assert found == set()


def within_any(modules: list[str], *packages: str) -> bool:
    return any(within(module, *packages) for module in modules)


def test_heavy_libraries_load_only_in_the_modules_that_compute() -> None:
    found = {
        name(path)
        for path in sources("strop", *LAYERS)
        if within_any(imports_at_load(path), *HEAVY)
    }
    assert {path for path in found if not path.startswith(MAY_LOAD_HEAVY)} == set()
    assert found, "the test no longer sees who imports torch"


def test_our_code_is_imported_by_its_full_name() -> None:
    bare = {
        (name(path), module)
        for path in sources("strop", "tests", *LAYERS)
        for module in imports(path)
        if within(module, *LAYERS) or module.startswith(".")
    }
    assert bare == set()


def test_the_wheel_lists_the_packages_on_disk() -> None:
    folders = [path.parent for path in sources("strop", *LAYERS)]
    on_disk = {
        ".".join(folder.relative_to(ROOT).parts)
        for folder in folders
        if folder.name != "__pycache__"
    }
    on_disk = {package if package == "strop" else f"strop.{package}" for package in on_disk}
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert set(listed) == on_disk
    assert len(listed) == len(set(listed))
    assert {folder for folder in folders if not (folder / "__init__.py").exists()} == set()


def test_every_layer_has_its_folder_in_the_package() -> None:
    package_dir = PROJECT["tool"]["setuptools"]["package-dir"]
    assert package_dir == {"strop": "strop", **{f"strop.{layer}": layer for layer in LAYERS}}


def test_type_checkers_see_every_layer() -> None:
    folder = ROOT / ".typing" / "strop"
    links = {path.name: path for path in folder.iterdir()}
    assert set(links) == {"__init__.py", "py.typed", *LAYERS}
    for link in links.values():
        target = "strop/" + link.name if link.suffix else link.name
        assert link.is_symlink(), link
        assert not os.path.isabs(os.readlink(link)), f"{link} breaks in another checkout"  # noqa: PTH115, PTH117
        assert link.resolve() == ROOT / target


def test_no_flow_file_hides_an_installed_package() -> None:
    """A deployment by path puts ``flows/`` at the head of `sys.path`."""
    installed = set(packages_distributions()) | set(sys.stdlib_module_names) | OFTEN_INSTALLED
    assert {path.stem for path in (ROOT / "flows").iterdir()} & installed == set()


def test_files_with_flows_define_no_classes() -> None:
    """A class in a flow file becomes two classes when a deployment loads the file by path."""
    found = {
        name(path): [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        for path in sources("flows")
        if within_any(imports(path), "prefect.flow")
        for tree in [ast.parse(path.read_text(encoding="utf-8"))]
    }
    assert found
    assert {path: classes for path, classes in found.items() if classes} == {}


def test_the_command_line_loads_nothing_heavy() -> None:
    code = f"import sys, strop.cli.main; print(sorted(set(sys.modules) & set({NOT_AT_START})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_help_comes_at_once() -> None:
    started = time.perf_counter()
    command = [sys.executable, "-c", "from strop.cli.main import main; main()", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    assert "Usage" in done.stdout
    assert seconds < 3, f"{seconds:.1f} s"


def test_imports_are_seen_where_they_load(tmp_path: Path) -> None:
    path = tmp_path / "example.py"
    path.write_text(
        "import torch.nn\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import faiss\n"
        "class A:\n    import ray\n"
        "def f():\n    from transformers import Trainer\n"
    )
    assert imports_at_load(path) == ["torch.nn", "typing.TYPE_CHECKING", "ray"]
    assert sorted(imports(path))[-2:] == ["transformers.Trainer", "typing.TYPE_CHECKING"]
