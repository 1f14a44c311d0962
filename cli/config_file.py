"""The config as a YAML file: read with errors that name key and line, written with comments."""

import re
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from yaml.nodes import MappingNode, Node

from strop.pipeline.config import Config
from strop.pipeline.errors import InputError

KEY_PATH = re.compile(r"[a-z_]+\.[a-z_]+")


def load_config(path: Path) -> Config:
    """Read a config; raises `InputError` with one line for every key that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{path}: cannot be read ({reason}); `strop init` writes one") from error
    root = _parse(path, text)
    values = yaml.safe_load(text)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise InputError("\n".join(_lines(path, root, error))) from error


def _parse(path: Path, text: str) -> MappingNode:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path} line {line}: not YAML ({error.problem})") from error
    if not isinstance(root, MappingNode):
        raise InputError(f"{path}: expected keys and values, as `strop init` writes them")
    _refuse_repeated_keys(path, root)
    return root


def _refuse_repeated_keys(path: Path, node: MappingNode) -> None:
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            line = key.start_mark.line + 1
            raise InputError(f"{path} line {line}: key {key.value!r} was given before; remove one")
        seen.add(key.value)
        if isinstance(value, MappingNode):
            _refuse_repeated_keys(path, value)


def _lines(path: Path, root: MappingNode, error: ValidationError) -> list[str]:
    """One line an error, in the order of the file."""
    found = []
    for item in error.errors():
        keys = [str(part) for part in item["loc"]]
        if not keys and (first := KEY_PATH.search(item["msg"])):
            number = _line_of(root, first[0].split("."))
        else:
            number = _line_of(root, keys)
        found.append((number, _message(keys, item)))
    return [f"{path} line {number}: {message}" for number, message in sorted(found)]


def _message(keys: list[str], item: Any) -> str:
    name = ".".join(keys)
    if item["type"] == "extra_forbidden":
        return f"unknown key {name!r}; {_known_keys(keys[:-1])}"
    if item["type"] == "value_error":
        message = item["msg"].removeprefix("Value error, ")
        return f"{name}: {message}" if name else message
    return f"{name} = {item['input']!r}: {_lower_first(item['msg'])}"


def _line_of(root: MappingNode, keys: list[str]) -> int:
    """The line of the deepest key of the path that the file has."""
    node: Node = root
    line = root.start_mark.line + 1
    for name in keys:
        if not isinstance(node, MappingNode):
            break
        for key, value in node.value:
            if key.value == name:
                line, node = key.start_mark.line + 1, value
                break
    return line


def _known_keys(section: list[str]) -> str:
    model: type[BaseModel] = Config
    for name in section:
        model = model.model_fields[name].annotation  # type: ignore[assignment]
    where = f"{'.'.join(section)} has" if section else "the keys are"
    return f"{where} {', '.join(model.model_fields)}"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def example_config(**changes: Any) -> str:
    """A config file with every key, its default, and its meaning and range as a comment."""
    lines = ["# strop config: the same name with the same values resumes a run.", ""]
    for name, field in Config.model_fields.items():
        lines += _entry(name, field, indent=0, changes=changes)
    return "\n".join(lines) + "\n"


def _entry(name: str, field: FieldInfo, *, indent: int, changes: dict[str, Any]) -> list[str]:
    space = "  " * indent
    comment = [f"{space}# {line}" for line in _meaning(field)]
    default = changes.get(name, field.get_default(call_default_factory=True))
    if isinstance(default, BaseModel):
        doc = (type(default).__doc__ or "").strip().splitlines()[0]
        lines = ["", f"{space}# {doc}", f"{space}{name}:"]
        for key, inner in type(default).model_fields.items():
            lines += _entry(key, inner, indent=indent + 1, changes={})
        return lines
    value = list(default) if isinstance(default, tuple) else default
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip()
    return [*comment, f"{space}{name}: {text.removesuffix('...').strip()}"]


def _meaning(field: FieldInfo) -> list[str]:
    text = " ".join((field.description or "").split())
    limits = [_limit(rule) for rule in field.metadata]
    choices = get_args(field.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        limits.append(f"one of {', '.join(choices)}")
    bounds = ", ".join(limit for limit in limits if limit)
    return _wrapped(f"{text} [{bounds}]" if bounds else text)


def _limit(rule: Any) -> str:
    signs = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
    return ", ".join(
        f"{sign} {getattr(rule, name):g}" for name, sign in signs if hasattr(rule, name)
    )


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width=88)
