"""What processes send each other is bytes or JSON: nothing is unpickled."""

import pickle
from typing import Any

import pytest

from strop.pipeline.training.exchange import decoded, encoded


@pytest.mark.parametrize(
    "value", [None, True, 0.25, "checkpoint-3", b"\x00\xff", {"rng_state_1.pth": b"\x80\x04"}, [1]]
)
def test_a_value_arrives_as_it_was(value: Any) -> None:
    assert decoded(encoded(value)) == value


def test_a_pickle_is_refused() -> None:
    with pytest.raises(ValueError):
        decoded(b"t" + pickle.dumps("x"))
    with pytest.raises(TypeError, match="object cannot be sent to another process"):
        encoded(object())
