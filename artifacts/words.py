"""Values of a config in a message: as a person would write them in YAML, on one line."""

import json
from typing import Any


def as_yaml(value: Any) -> str:
    """``'text'``, ``true``, ``[1, 2]``; ``nothing`` where there is no value."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return repr(value)
    return json.dumps(value, ensure_ascii=False, default=str)
