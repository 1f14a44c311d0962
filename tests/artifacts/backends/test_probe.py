"""A server that ignores the conditions of writes is no place for a store."""

import pytest

from benchmarks.s3 import Plan, Servers
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.errors import StoreError
from strop.artifacts.mark import MARK
from strop.artifacts.store import Store


@pytest.mark.parametrize("blind", [("If-None-Match",), ("If-Match",)])
def test_a_server_that_ignores_conditions_is_refused(
    proxied: str, s3: Servers, blind: tuple[str, ...]
) -> None:
    s3.plan(Plan(blind=blind))
    with pytest.raises(StoreError, match=rf"ignores conditional writes \({blind[0]}\)"):
        Store(proxied)
    s3.plan(Plan())
    store = Store(proxied)  # nothing was left there
    assert isinstance(store.root, ObjectPath)
    assert [path.name for path in store.root.iterdir()] == [MARK]


def test_an_existing_store_behind_such_a_server_is_refused_too(proxied: str, s3: Servers) -> None:
    Store(f"{proxied}/x").root.joinpath("y/store.json").write_text('{"strop_store": 1}')
    s3.plan(Plan(blind=("If-Match",)))
    with pytest.raises(StoreError, match="ignores conditional writes"):
        Store(f"{proxied}/x/y")


def test_lost_answers_are_not_taken_for_a_fault_of_the_server(proxied: str, s3: Servers) -> None:
    s3.plan(Plan(rate=0.3, seed=4, seconds=0.05))
    Store(proxied)
    assert s3.plan()["done"]
