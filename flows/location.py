"""How flows are told which store to work on."""

from typing import Annotated

from pydantic import BeforeValidator

Location = Annotated[str, BeforeValidator(str)]
"""A folder, or ``s3://bucket/prefix``; a path would lose one of the two slashes."""
