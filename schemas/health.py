"""The body of the health checks."""

from typing import Literal

from pydantic import BaseModel


class Health(BaseModel):
    """The status, and nothing more than a load balancer needs."""

    status: Literal["ok"] = "ok"
