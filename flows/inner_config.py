"""The config of a flow that only other flows and commands start."""

from typing import Annotated

from pydantic import GetPydanticSchema
from pydantic_core import core_schema

from strop.pipeline.config import Config

InnerConfig = Annotated[Config, GetPydanticSchema(lambda source, handler: core_schema.any_schema())]
"""Nobody fills it in: its form, which Prefect would make twice a flow in 60 ms, is left out."""
