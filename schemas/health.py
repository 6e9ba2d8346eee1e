"""The body of the health checks."""

from typing import Literal

from schemas.base import Schema


class Health(Schema):
    """The status, and nothing more than a load balancer needs."""

    status: Literal["ok"] = "ok"
    """Always `ok`; anything else is an error."""
