"""The config as a YAML file: read with errors that name key and line, written with comments."""

from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from yaml.nodes import MappingNode, Node, SequenceNode

from strop.cli.wrong_values import models_of, tag_of, told
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError

LEFT_OUT = "# What is left out has its default; a section may have nothing under it."


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
    found = [(_line_of(root, keys), message) for keys, message in told(error)]
    return [f"{path} line {number}: {message}" for number, message in sorted(found)]


def _line_of(root: MappingNode, keys: list[Any]) -> int:
    """The line of the deepest key of the path that the file has."""
    node: Node = root
    line = root.start_mark.line + 1
    for name in keys:
        if isinstance(node, SequenceNode) and isinstance(name, int):
            node = node.value[name]
            line = node.start_mark.line + 1
        elif isinstance(node, MappingNode):
            for key, value in node.value:
                if key.value == name:
                    line, node = key.start_mark.line + 1, value
                    break
    return line


def example_config() -> str:
    """A config file with every key, its default, and its meaning and range as a comment."""
    lines = ["# strop config: the same name with the same values resumes a run.", LEFT_OUT, ""]
    for name, field in Config.model_fields.items():
        lines += _entry(name, field, indent=0)
    return "\n".join(lines) + "\n"


def _entry(name: str, field: FieldInfo, *, indent: int) -> list[str]:
    space = "  " * indent
    comment = [f"{space}# {line}" for line in _meaning(field)]
    default = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        doc = (type(default).__doc__ or "").strip().splitlines()[0]
        lines = ["", f"{space}# {doc}", f"{space}{name}:"]
        for key, inner in type(default).model_fields.items():
            lines += _entry(key, inner, indent=indent + 1)
        return lines
    value = TypeAdapter(Any).dump_python(default, mode="json")
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000).strip()
    return [*comment, f"{space}{name}: {text.removesuffix('...').strip()}"]


def _meaning(field: FieldInfo) -> list[str]:
    text = " ".join((field.description or "").split())
    limits = [_limit(rule) for rule in field.metadata]
    choices = get_args(field.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        limits.append(f"one of {', '.join(choices)}")
    bounds = ", ".join(limit for limit in limits if limit)
    lines = _wrapped(f"{text} [{bounds}]" if bounds else text)
    for model in models_of(field.annotation):
        lines += _wrapped(f"{tag_of(model) or 'its keys'}: {_defaults(model)}", indent="  ")
    return lines


def _defaults(model: type[BaseModel]) -> str:
    """The keys of a section that the file does not spell out, with their defaults."""
    told = []
    for name, field in model.model_fields.items():
        if field.is_required():
            told += [name] if tag_of(model) is None else []
        elif tag_of(model) is None or name != "name":
            value = TypeAdapter(Any).dump_python(field.get_default(), mode="json")
            text = yaml.safe_dump(value, default_flow_style=True).strip()
            told.append(f"{name} {text.removesuffix('...').strip()}")
    return ", ".join(told)


def _limit(rule: Any) -> str:
    signs = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
    return ", ".join(
        f"{sign} {getattr(rule, name):.10g}" for name, sign in signs if hasattr(rule, name)
    )


def _wrapped(text: str, *, indent: str = "") -> list[str]:
    import textwrap

    return textwrap.wrap(text, width=88, initial_indent=indent, subsequent_indent=2 * indent)
