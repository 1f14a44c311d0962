"""A manifest is hidden, brought back or removed by one of many, in a folder and in a bucket."""

import pytest

from strop.artifacts import slots
from strop.artifacts.backends.location import StorePath, store_path
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.errors import Conflict
from tests.artifacts.test_durable import in_threads

DATA = b'{"a": 1}'


@pytest.fixture
def objects(location: str) -> StorePath:
    return store_path(location) / "objects"


@pytest.fixture
def home(objects: StorePath) -> StorePath:
    return objects / "scores" / "abc"


def shown(objects: StorePath) -> list[bytes]:
    return [data for _, data in slots.read_all(slots.paths(objects))]


def test_a_manifest_is_created_once(objects: StorePath, home: StorePath) -> None:
    assert slots.read(home) is None
    assert slots.claim(home) is None
    slots.put(home, DATA)
    with pytest.raises(Conflict):
        slots.put(home, DATA)
    assert slots.read(home) == slots.claim(home) == DATA
    assert shown(objects) == [DATA]


def test_what_is_hidden_is_no_artifact_until_it_is_claimed(
    objects: StorePath, home: StorePath
) -> None:
    slots.put(home, DATA)
    assert slots.hide(home)
    assert not slots.hide(home)
    assert slots.read(home) is None
    assert shown(objects) == []
    assert list(slots.hidden(objects)) == [home]
    assert slots.claim(home) == DATA
    assert list(slots.hidden(objects)) == []
    assert shown(objects) == [DATA]


@pytest.mark.parametrize("location", ["folder"], indirect=True)
def test_what_is_hidden_while_it_is_claimed_is_brought_back(
    objects: StorePath, home: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots.put(home, DATA)
    read, times = slots.read, iter([True])

    def hidden_first(home: StorePath) -> bytes | None:
        if next(times, False):
            assert slots.hide(home)
        return read(home)

    monkeypatch.setattr(slots, "read", hidden_first)
    assert slots.claim(home) == DATA
    assert list(slots.hidden(objects)) == []


def test_what_was_claimed_meanwhile_is_not_removed(home: StorePath) -> None:
    slots.put(home, DATA)
    slots.hide(home)
    slots.bring_back(home)
    assert not slots.remove_hidden(home, home / "trash")
    assert slots.read(home) == DATA


def test_what_was_removed_can_not_be_brought_back_but_made_again(
    objects: StorePath, home: StorePath
) -> None:
    slots.put(home, DATA)
    slots.hide(home)
    assert slots.remove_hidden(home, home / "trash")
    slots.bring_back(home)
    assert slots.claim(home) is None
    assert shown(objects) == []
    slots.put(home, b"{}")
    with pytest.raises(Conflict):
        slots.put(home, DATA)
    assert shown(objects) == [b"{}"]
    slots.remove(home)
    assert slots.read(home) is None
    slots.put(home, DATA)


def test_of_a_claim_and_a_removal_at_once_one_wins(home: StorePath) -> None:
    for number in range(10):
        place = home.parent / f"n{number}"
        slots.put(place, DATA)
        slots.hide(place)
        removed, claimed = [], []

        def race(thread: int, place=place, removed=removed, claimed=claimed) -> None:
            if thread % 2:
                claimed.append(slots.claim(place))
            else:
                removed.append(slots.remove_hidden(place, place / f"trash{thread}"))

        in_threads(4, race)
        left = None if any(removed) else DATA
        assert slots.read(place) == left
        assert claimed == [left, left]


def test_a_collected_place_keeps_a_few_bytes_in_a_bucket(home: StorePath) -> None:
    slots.put(home, DATA)
    slots.hide(home)
    slots.remove_hidden(home, home.parent / "trash")
    path = home / slots.MANIFEST
    assert (path.read_bytes() == slots.EMPTY) if isinstance(path, ObjectPath) else not path.exists()
