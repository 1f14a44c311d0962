"""What every part of the config has in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class Section(BaseModel):
    """A part of the config: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def said(self) -> dict[str, Any]:
        """What it says beyond its defaults, as JSON."""
        return self.model_dump(mode="json", exclude_defaults=True)
