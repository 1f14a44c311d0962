"""What every part of the config has in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
ADDRESS = r"^\[?[\w.:-]+\]?:\d{1,5}$"
CLUSTER = r"^(ray://)?\[?[\w.:-]+\]?:\d{1,5}$"
IN_WORDS = {
    NAME: (
        "at most 64 of lower-case letters, digits, '.', '_' and '-', the first a letter or a "
        "digit, such as my-corpus"
    ),
    ADDRESS: "HOST:PORT, such as 10.0.0.1:29500",
    CLUSTER: "HOST:PORT, such as 10.0.0.1:6379, or ray://HOST:PORT",
}
"""What the patterns of values ask for."""
Name = Annotated[str, Field(pattern=NAME)]
Named = Annotated[str, Field(coerce_numbers_to_str=True)]
"""What may be an artifact's id, which YAML reads as a number where it is of digits alone."""


class Section(BaseModel):
    """A part of the config: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: Any) -> Any:
        """Leave out sections with nothing under them, which YAML reads as null: defaults all."""
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields
        empty = {name for name, value in values.items() if value is None and name in fields}
        sections = {name for name in empty if _is_section(fields[name].annotation)}
        return {name: value for name, value in values.items() if name not in sections}

    def said(self) -> dict[str, Any]:
        """What it says beyond its defaults, as JSON."""
        return self.model_dump(mode="json", exclude_defaults=True)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)
