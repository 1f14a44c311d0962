"""Files that appear whole or not at all."""

import errno
import os
import threading
from pathlib import Path

import pytest

from strop.artifacts import durable
from strop.artifacts.errors import Conflict


def in_threads(count: int, work) -> None:
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_create_makes_missing_folders_and_leaves_one_file(tmp_path: Path) -> None:
    durable.create(tmp_path / "a" / "b.json", b"1")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]
    assert (tmp_path / "a" / "b.json").read_bytes() == b"1"


def test_create_refuses_what_exists_and_keeps_it(tmp_path: Path) -> None:
    durable.create(tmp_path / "x", b"first")
    with pytest.raises(Conflict, match="x exists already"):
        durable.create(tmp_path / "x", b"second")
    assert (tmp_path / "x").read_bytes() == b"first"
    assert len(list(tmp_path.iterdir())) == 1


def test_of_many_creators_one_wins(tmp_path: Path) -> None:
    winners, losers = [], []

    def create(number: int) -> None:
        try:
            durable.create(tmp_path / "x", str(number).encode())
            winners.append(number)
        except Conflict:
            losers.append(number)

    in_threads(16, create)
    assert len(winners) == 1
    assert len(losers) == 15
    assert (tmp_path / "x").read_bytes() == str(winners[0]).encode()


def test_who_reads_a_file_that_is_replaced_reads_the_old_one_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x"
    durable.replace(path, b"old value")
    with path.open("rb", buffering=0) as reader:
        assert reader.read(3) == b"old"
        durable.replace(path, b"new")
        assert reader.read() == b" value"
    assert path.read_bytes() == b"new"
    assert [item.name for item in tmp_path.iterdir()] == ["x"]


def test_a_failed_replace_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        durable.replace(tmp_path / "taken", b"data")
    assert [item.name for item in tmp_path.iterdir()] == ["taken"]


def test_a_full_disk_keeps_the_old_value(small_disk: Path) -> None:
    durable.replace(small_disk / "x", b"old")
    with pytest.raises(OSError, match="No space left") as caught:
        durable.replace(small_disk / "x", b"n" * (2 << 20))
    assert caught.value.errno == errno.ENOSPC
    assert [item.name for item in small_disk.iterdir()] == ["x"]
    assert (small_disk / "x").read_bytes() == b"old"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only files")
def test_a_read_only_file_can_be_made_durable(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"0")
    path.chmod(0o444)
    durable.sync_file(path)
