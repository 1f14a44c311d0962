"""Lines and JSON objects of text files that are read in blocks."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from strop.pipeline.data import text_files
from strop.pipeline.data.locations import location
from strop.pipeline.data.text_files import json_lines, raw_blocks, raw_lines
from strop.pipeline.data.validation import Defects


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "BLOCK", 64)


def write(folder: Path, content: bytes) -> Any:
    path = folder / "file.jsonl"
    path.write_bytes(content)
    return location(path)


def test_lines_are_those_of_the_file_wherever_blocks_end(tmp_path: Path) -> None:
    lines = [b"%d %s\n" % (number, b"x" * (number * 7 % 90)) for number in range(200)]
    content = b"".join(lines) + b"\r\nwith\rreturns\r\n\n" + b"no line end"
    expected = content.split(b"\n")
    defects = Defects()
    found = [(place.number, line) for place, line in raw_lines(write(tmp_path, content), defects)]
    assert [line.removesuffix(b"\n") for _, line in found] == expected
    assert [number for number, _ in found] == list(range(1, len(expected) + 1))
    assert not defects.report()


def test_every_bad_line_of_a_block_is_found_with_its_number(tmp_path: Path) -> None:
    lines = [json.dumps({"n": number}).encode() for number in range(100)]
    for number, bad in (
        (3, b'{"n": 1} {"n": 2}'),
        (4, b'{"n":'),
        (5, b"1}"),
        (40, b"[1]"),
        (99, b""),
    ):
        lines[number] = bad
    where, defects = write(tmp_path, b"\n".join(lines)), Defects()
    found = [(place.number, record["n"]) for place, record in json_lines(where, defects)]
    assert found == [(n + 1, n) for n in range(100) if n not in (3, 4, 5, 40, 99)]
    examples = defects.report()[0]["examples"]
    assert [text.partition(":")[0] for text in examples] == [
        f"{where} line {n}" for n in (4, 5, 6, 41)
    ]


@pytest.mark.parametrize("block", [64, 1 << 20])
def test_what_comes_before_damage_is_read(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "BLOCK", block)
    lines = [b'{"n": %d}\n' % (number**5) for number in range(20_000)]
    whole = gzip.compress(b"".join(lines))
    where, defects = write(tmp_path, whole[: len(whole) // 2]), Defects()
    found = [place.number for place, _ in json_lines(where, defects)]
    assert len(found) > 9_000  # about half of them: nothing that was decompressed is lost
    *cut, damaged = defects.lines()
    assert f"{where} line {found[-1] + 1 + len(cut)}: the compressed file is damaged" in damaged
    assert all(f"{where} line {found[-1] + 1}: not JSON" in line for line in cut)


def test_small_pieces_of_a_compressed_file_become_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "BLOCK", 1 << 20)
    content = b"".join(b"%d\n" % (number**5) for number in range(80_000))
    blocks = [block for _, block in raw_blocks(write(tmp_path, gzip.compress(content)), Defects())]
    assert b"".join(blocks) == content
    assert len(blocks) <= len(content) // (1 << 20) + 1
    assert all(block.endswith(b"\n") for block in blocks)


def test_a_line_that_is_too_long_is_told_with_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "LONGEST_LINE", 1000)
    for long in (1001, 5000):
        where, defects = write(tmp_path, b"a\n" + b"b" * long + b"\nc\n"), Defects()
        assert [line for _, line in raw_lines(where, defects)] == [b"a\n"]
        assert defects.lines()[0].startswith(f"{where} line 2: more than")
