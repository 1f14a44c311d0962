"""The arms of `strop experiment`, as one types them."""

import pytest

from strop.cli.experiment import read_arm


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("none:", {}),
        ("two: mining.sampler=top  mining.group_size=3", ["top", 3]),
        (
            "losses: training.losses=[{name: circle, scale: 8}, {name: kl}] training.epochs=2",
            [[{"name": "circle", "scale": 8}, {"name": "kl"}], 2],
        ),
    ],
)
def test_an_arm_has_a_name_and_values_as_in_yaml(text, values):
    name, read = read_arm(text)
    assert name == text.partition(":")[0]
    assert list(read.values()) == list(values)
