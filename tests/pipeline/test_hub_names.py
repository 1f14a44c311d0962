"""Datasets by their name on the Hugging Face Hub, from the cache that its own tools keep."""

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from strop.pipeline.data.locations import location
from strop.pipeline.data.readers.hugging_face import hugging_face_files
from strop.pipeline.data.readers.options import Options
from strop.pipeline.errors import InputError

REVISION = "0123456789abcdef0123456789abcdef01234567"


def cached(home: Path, owner: str, name: str, files: dict[str, bytes]) -> None:
    """A dataset as `huggingface_hub` leaves it after a download: blobs, links and a ref."""
    repository = home / "hub" / f"datasets--{owner}--{name}"
    for folder in ("blobs", "refs"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    for file, content in files.items():
        blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        link = repository / "snapshots" / REVISION / file
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))


def parquet(first: int, last: int) -> bytes:
    """Rows of questions with answers, as a Parquet file of a dataset."""
    numbers = range(first, last)
    anchors = [f"question {number} on topic {number * 7}" for number in numbers]
    answers = [f"answer {number} names {number * 13}" for number in numbers]
    out = io.BytesIO()
    pq.write_table(pa.table({"anchor": anchors, "positive": answers}), out)
    return out.getvalue()


def check(home: Path, name: str) -> tuple[int, str]:
    """How `strop import huggingface NAME --check` ends without a network, and what it prints."""
    command = [sys.executable, "-m", "strop.cli", "import", "huggingface", name, "--check"]
    offline = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    offline.pop("HF_HUB_CACHE", None)
    done = subprocess.run(command, env=offline, cwd=home, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_a_cached_dataset_is_read_by_its_name(tmp_path: Path) -> None:
    files = {
        "README.md": b"---\nlicense: mit\n---\n",
        "data/train-00000-of-00002.parquet": parquet(0, 20),
        "data/train-00001-of-00002.parquet": parquet(20, 40),
        "data/validation-00000-of-00001.parquet": parquet(40, 50),
        "data/test-00000-of-00001.parquet": parquet(50, 60),
    }
    cached(tmp_path, "team", "pairs", files)
    code, printed = check(tmp_path, "team/pairs")
    assert code == 0, printed
    assert (
        "team/pairs: no problems; 60 passages, 40 train queries, 5 dev queries, 5 gate queries, "
        "10 test queries, 60 judgements"
    ) in " ".join(printed.split())


def test_a_name_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    code, printed = check(tmp_path, "team/none")
    assert code == 2
    assert printed.count("\n") == 1
    assert (
        "dataset 'team/none': neither a folder nor to be had from the Hugging Face Hub" in printed
    )
    assert "check the name" in printed


def test_a_cached_dataset_without_tables_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(tmp_path, "team", "pictures", {"README.md": b"# pictures\n", "a.png": b"\x89PNG"})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(InputError, match="no Parquet, Arrow, JSONL or CSV files of a dataset"):
        hugging_face_files(location("team/pictures"), Options())
