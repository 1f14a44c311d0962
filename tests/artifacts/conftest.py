"""A small store, and a way to put an artifact into it on one line."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from strop.artifacts.manifest import ArtifactRef, Manifest, Recipe
from strop.artifacts.store import Store

Make = Callable[..., Manifest]


@pytest.fixture(params=["folder", "s3"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store is about to be: in a folder, and once more in a bucket."""
    return place_for(request, tmp_path)


def place_for(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return str(request.getfixturevalue("bucket"))
    return str(tmp_path / "store")


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def roomy_location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The same for tests that make a whole world: in a bucket that takes seconds."""
    return place_for(request, tmp_path)


@pytest.fixture
def store(location: str) -> Store:
    return Store(location)


@pytest.fixture
def make(store: Store) -> Make:
    """Commit an artifact with one file ``text.txt``; its inputs are manifests, by role."""

    def make(kind: str, text: str = "text", *, number: int = 0, **inputs: Manifest) -> Manifest:
        refs: dict[str, ArtifactRef] = {role: item.ref for role, item in inputs.items()}
        parameters: dict[str, Any] = {"number": number}
        with store.attempt(Recipe(kind, f"make {kind}", 1, parameters, refs)) as attempt:
            (attempt.folder / "text.txt").write_text(text, encoding="utf-8")
            return store.commit(attempt, summary={"letters": len(text)})

    return make


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "strop-test", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command")
    if mounted.returncode:
        pytest.skip(f"mount is not permitted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def own_process_ids() -> list[str]:
    """What runs a command like a container of this host's name: with process ids of its own."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no namespaces of process ids may be made here")
    return command
