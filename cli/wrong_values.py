"""What is wrong with a config's values, in the words of its keys: one line an error."""

import re
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from strop.artifacts.words import as_yaml
from strop.pipeline.config import IN_WORDS, Config, Training

KEY_PATH = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list, such as [a, b]",
    "dict": "keys and their values",
    "model": "keys and their values",
}
"""What pydantic's kinds of values are to people who write YAML."""


def refusals(error: ValidationError) -> list[str]:
    """One line an error, for values that come from no file."""
    return [message for _, message in told(error)]


def told(error: ValidationError) -> list[tuple[list[str | int], str]]:
    """The path of keys and the line of every error."""
    found = []
    items = error.errors()
    for item in items:
        if item["type"] == "too_short" and any(_within(other, item) for other in items):
            continue  # the entries that are wrong are told one by one
        own = KEY_PATH.match(_text(item))
        keys: list[str | int] = list(own[0].split(".") if own else item["loc"])
        found.append((keys, _text(item) if own else _message(keys, item)))
    return found


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a field's type speaks of, alone or in a list, a mapping or a choice."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_of(part)]


def tag_of(model: type[BaseModel]) -> str | None:
    """What a section's ``name`` is where several kinds are told apart by it."""
    field = model.model_fields.get("name")
    choices = get_args(field.annotation) if field else ()
    return choices[0] if len(choices) == 1 else None


def _within(item: Any, other: Any) -> bool:
    return item is not other and item["loc"][: len(other["loc"])] == other["loc"]


def _text(item: Any) -> str:
    return str(item["msg"]).removeprefix("Value error, ")


def _message(keys: list[str | int], item: Any) -> str:
    name = _name(keys)
    if item["type"] == "extra_forbidden":
        return f"unknown key {name!r}; {_known_keys(keys[:-1])}"
    if item["type"] == "union_tag_invalid":
        context = item["ctx"]
        return f"{name}.name = {context['tag']!r}: expected one of {context['expected_tags']}"
    if item["type"] == "value_error":
        return f"{name}: {_text(item)}"
    if item["type"] == "missing":
        return f"{name}: is missing, expected a value"
    if item["input"] is None:
        return f"{name}: has no value; expected {_expected(item)}, or leave the key out"
    return f"{name} = {as_yaml(item['input'])}: {_reason(item)}"


def _reason(item: Any) -> str:
    expected = _expected(item)
    return f"expected {expected}" if expected != "a value" else _lower_first(_text(item))


def _expected(item: Any) -> str:
    """What belongs there, where that can be said better than pydantic does."""
    if item["type"] == "string_pattern_mismatch":
        return IN_WORDS.get(item["ctx"]["pattern"], "a value")
    if item["type"] == "too_short":
        least = item["ctx"]["min_length"]
        return f"at least {least} {'entry' if least == 1 else 'entries'}"
    kind, _, what = item["type"].partition("_")
    return KINDS.get(kind, "a value") if what in ("type", "parsing", "from_float") else "a value"


def _name(keys: list[str | int]) -> str:
    """The path as people write it, ``training.losses[0].margin``, without pydantic's tags."""
    name = ""
    for before, key in zip([None, *keys], keys, strict=False):
        if isinstance(key, int):
            name += f"[{key}]"
        elif not isinstance(before, int) or key not in _tags():
            name += f".{key}" if name else key
    return name


def _known_keys(section: list[str | int]) -> str:
    models: list[type[BaseModel]] = [Config]
    for name in section:
        fields = [model.model_fields[name] for model in models if name in model.model_fields]
        if fields:
            models = models_of(fields[0].annotation)
        else:
            models = [model for model in models if tag_of(model) == name] or models
    where = f"{_name(section)} has" if section else "the keys are"
    return f"{where} {', '.join(models[0].model_fields)}"


def _tags() -> set[str | None]:
    return {tag_of(model) for model in models_of(Training.model_fields["losses"].annotation)}


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
