"""The config as a YAML file: read with errors that name key and line, written with comments."""

import re
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from yaml.nodes import MappingNode, Node, SequenceNode

from strop.pipeline.config import Config, Training
from strop.pipeline.errors import InputError

KEY_PATH = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")


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
    items = error.errors()
    for item in items:
        if item["type"] == "too_short" and any(_within(other, item) for other in items):
            continue  # the entries that are wrong are told one by one
        own = KEY_PATH.match(_text(item))
        keys: list[str | int] = list(own[0].split(".") if own else item["loc"])
        message = _text(item) if own else _message(keys, item)
        found.append((_line_of(root, keys), message))
    return [f"{path} line {number}: {message}" for number, message in sorted(found)]


def refusals(error: ValidationError) -> list[str]:
    """One line an error, for values that come from no file."""
    found = []
    for item in error.errors():
        own = KEY_PATH.match(_text(item))
        found.append(_text(item) if own else _message(list(item["loc"]), item))
    return found


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
    return f"{name} = {item['input']!r}: {_lower_first(_text(item))}"


def _name(keys: list[str | int]) -> str:
    """The path as people write it, ``training.losses[0].margin``, without pydantic's tags."""
    name = ""
    for before, key in zip([None, *keys], keys, strict=False):
        if isinstance(key, int):
            name += f"[{key}]"
        elif not isinstance(before, int) or key not in _tags():
            name += f".{key}" if name else key
    return name


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


def _known_keys(section: list[str | int]) -> str:
    models: list[type[BaseModel]] = [Config]
    for name in section:
        fields = [model.model_fields[name] for model in models if name in model.model_fields]
        if fields:
            models = _models(fields[0].annotation)
        else:
            models = [model for model in models if _tag(model) == name] or models
    where = f"{_name(section)} has" if section else "the keys are"
    return f"{where} {', '.join(models[0].model_fields)}"


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a field's type speaks of, alone or in a list, a mapping or a choice."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _tag(model: type[BaseModel]) -> str | None:
    """What a section's ``name`` is where several kinds are told apart by it."""
    field = model.model_fields.get("name")
    choices = get_args(field.annotation) if field else ()
    return choices[0] if len(choices) == 1 else None


def _tags() -> set[str | None]:
    return {_tag(model) for model in _models(Training.model_fields["losses"].annotation)}


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def example_config() -> str:
    """A config file with every key, its default, and its meaning and range as a comment."""
    lines = ["# strop config: the same name with the same values resumes a run.", ""]
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
    for model in _models(field.annotation):
        lines += _wrapped(f"{_tag(model) or 'its keys'}: {_defaults(model)}", indent="  ")
    return lines


def _defaults(model: type[BaseModel]) -> str:
    """The keys of a section that the file does not spell out, with their defaults."""
    told = []
    for name, field in model.model_fields.items():
        if field.is_required():
            told += [name] if _tag(model) is None else []
        elif _tag(model) is None or name != "name":
            value = TypeAdapter(Any).dump_python(field.get_default(), mode="json")
            text = yaml.safe_dump(value, default_flow_style=True).strip()
            told.append(f"{name} {text.removesuffix('...').strip()}")
    return ", ".join(told)


def _limit(rule: Any) -> str:
    signs = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
    return ", ".join(
        f"{sign} {getattr(rule, name):g}" for name, sign in signs if hasattr(rule, name)
    )


def _wrapped(text: str, *, indent: str = "") -> list[str]:
    import textwrap

    return textwrap.wrap(text, width=88, initial_indent=indent, subsequent_indent=2 * indent)
