"""The server keeps its promises, and a bucket's writes are right though answers are lost."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.s3 import CREDENTIALS, FAULTS, Plan, Servers
from strop.artifacts.backends import bucket as buckets
from strop.artifacts.backends.bucket import ABSENT, Bucket
from strop.artifacts.errors import Conflict, StoreError, Unreachable

RACERS = 64


def test_of_many_creators_and_of_many_swaps_one_wins(bucket: str) -> None:
    place, gate = Bucket(bucket), threading.Barrier(RACERS)

    def write(number: int, seen: str) -> str | None:
        gate.wait()
        try:
            return place.write("raced", b"%d" % number, seen=seen)
        except Conflict:
            return None

    with ThreadPoolExecutor(RACERS) as pool:
        created = list(pool.map(lambda number: write(number, ABSENT), range(RACERS)))
        (winner,) = [number for number, version in enumerate(created) if version]
        data, version = place.read("raced")
        assert (data, version) == (b"%d" % winner, created[winner])
        swapped = list(pool.map(lambda number: write(number, version), range(100, 100 + RACERS)))
    assert sum(found is not None for found in swapped) == 1
    winner = next(number for number, found in enumerate(swapped) if found)
    assert place.read("raced")[0] == b"%d" % (100 + winner)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_creation_whose_answer_is_lost_or_late_is_ours(
    proxied: str, s3: Servers, fault: str
) -> None:
    place = Bucket(proxied)
    s3.plan(Plan(fault=fault, at=0, methods=("PUT",)))
    version = place.write(fault, b"ours", seen=ABSENT)
    assert s3.plan()["done"] == {fault: 1}
    assert place.read(fault) == (b"ours", version)
    with pytest.raises(Conflict):
        place.write(fault, b"ours", seen=ABSENT)  # the same bytes from another are not ours


@pytest.mark.parametrize("fault", FAULTS)
def test_a_swap_whose_answer_is_lost_or_late_is_ours(proxied: str, s3: Servers, fault: str) -> None:
    place = Bucket(proxied)
    first = place.write(fault, b"1", seen=ABSENT)
    s3.plan(Plan(fault=fault, at=0, methods=("PUT",)))
    second = place.write(fault, b"22", seen=first)
    assert s3.plan()["done"] == {fault: 1}
    with pytest.raises(Conflict):
        place.write(fault, b"333", seen=first)
    assert place.read(fault) == (b"22", second)


def test_a_swap_of_what_is_gone_is_refused(bucket: str) -> None:
    place = Bucket(bucket)
    first = place.write("x", b"1")
    place.delete(["x", "never there"])
    with pytest.raises(Conflict):
        place.write("x", b"2", seen=first)
    assert place.about("x") is None


def test_a_missing_bucket_is_named(bucket: str) -> None:
    place = Bucket("s3://there-is-none/prefix")
    for use in (lambda: place.read("x"), lambda: place.write("x", b""), lambda: [*place.below()]):
        with pytest.raises(StoreError, match=r"^s3://there-is-none: no such bucket"):
            use()


def test_a_server_that_is_gone_is_told_in_one_line_without_secrets(
    bucket: str, s3: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(buckets, "TRIES", 1)
    place = Bucket(f"{bucket}/gone")
    with pytest.raises(Unreachable) as caught:
        place.read("x")
    assert "\n" not in str(caught.value)
    assert not any(secret in repr(caught.value) for secret in ("key-of", "secret-of"))
    assert caught.value.__cause__ is None


def test_lists_are_sorted_and_stay_below_the_prefix(bucket: str) -> None:
    place, beside = Bucket(bucket), Bucket(f"{bucket}-beside")
    for key in ("b/2", "a", "b/10", "b/c/d"):
        place.write(key, key.encode())
    beside.write("other", b"")
    assert [item.key for item in place.below()] == ["a", "b/10", "b/2", "b/c/d"]
    assert [item.key for item in place.below("b")] == ["b/10", "b/2", "b/c/d"]
    assert place.children("b") == ["10", "2", "c"]
    assert dict(place.read_many(["a", "none", "b/2"])) == {"a": b"a", "none": None, "b/2": b"b/2"}


def test_a_profile_of_the_usual_file_gives_the_credentials(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in CREDENTIALS:
        monkeypatch.delenv(key)
    file = tmp_path / "credentials"
    file.write_text("[team]\naws_access_key_id = of-the-team\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "team")
    place = Bucket(bucket)
    place.write("by profile", b"1")
    assert place.read("by profile")[0] == b"1"

    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StoreError, match="nobody"):
        Bucket(f"{bucket}/other").read("by profile")
