"""Writes the version of the service into the package.json of clients/javascript/."""

import json

from counterfoil import __version__
from harness.server import REPOSITORY

REFERENCE = REPOSITORY / "clients" / "javascript" / "package.json"


def reference() -> str:
    """The text of the file with the version of the service."""
    described = json.loads(REFERENCE.read_text())
    return json.dumps({**described, "version": __version__}, indent=2) + "\n"
