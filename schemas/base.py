"""What all bodies and parameters have in common."""

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """The docstring below a field is its description in OpenAPI, unless it has another."""

    model_config = ConfigDict(use_attribute_docstrings=True)
