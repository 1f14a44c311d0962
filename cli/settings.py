"""Values of config keys on the command line: ``mining.guard.margin=0.5``."""

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from strop.cli.wrong_values import refusals
from strop.pipeline.config import Config, with_values
from strop.pipeline.errors import InputError


def read_setting(text: str, option: str) -> tuple[str, Any]:
    """The key path and the value, as in YAML, of ``KEY=VALUE``; raises `InputError`."""
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise InputError(f"{option} {text!r}: expected KEY=VALUE, such as guard.margin=0.5")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"{option} {text!r}: the value is not YAML") from error


def changed(
    config: Config, values: Mapping[str, Any], option: str, others: Mapping[str, str] | None = None
) -> Config:
    """The config with these values by key path; raises `InputError` naming the option and key.

    ``others`` are keys that have an option of their own.
    """
    try:
        return with_values(config, values)
    except KeyError as error:
        raise InputError(f"{option}: there is no key {error.args[0]}") from error
    except ValidationError as error:
        lines = [f"{_option(line, others or {}) or option}: {line}" for line in refusals(error)]
        raise InputError("\n".join(lines)) from error


def _option(line: str, others: Mapping[str, str]) -> str | None:
    """The option of the key that a refusal begins with, where it has one of its own."""
    return next((option for key, option in others.items() if line.startswith(f"{key} ")), None)
