"""A config with other values of some keys, named by their path: ``mining.guard.margin``."""

from collections.abc import Mapping
from typing import Any

from strop.pipeline.config.run import Config


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """The config with these values by key path; everything else stays.

    Raises `KeyError` with the path that leads nowhere, and pydantic's `ValidationError` for an
    unknown last key or a wrong value.
    """
    changed = config.model_dump(mode="json")
    for path, value in values.items():
        *sections, last = path.split(".")
        place: Any = changed
        for section in sections:
            place = place.get(section) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise KeyError(path)
        place[last] = value
    return Config.model_validate(changed)
