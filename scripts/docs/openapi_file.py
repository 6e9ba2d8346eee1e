"""Generates docs/openapi.json, from which clients can be generated without a running service."""

import json

from harness.server import REPOSITORY
from scripts.docs.endpoint_reference import description

REFERENCE = REPOSITORY / "docs" / "openapi.json"


def reference() -> str:
    """The text of the file: the OpenAPI description with the default settings."""
    return json.dumps(description(), indent=2, ensure_ascii=False) + "\n"
