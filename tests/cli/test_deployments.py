"""Deployments as they are made, before a server has them."""

from strop.cli.deployments import STEPS, deployment_name
from strop.cli.serve import served


def test_what_is_served_takes_the_place_of_no_other_stores_or_configs_deployments():
    first, second = ({item.name for item in served(root)} for root in ("/a/.strop", "/b/.strop"))
    assert len(first | second) == 6
    assert not (first | second) & {deployment_name(step, "my-corpus") for step in STEPS}
    assert not (first | second) & set(STEPS)
    assert {item.name for item in served("/a/.strop")} == first, "the same store renews its own"
