"""Whether the service runs, and whether it can do its work."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from api.dependencies import ServiceDep
from api.openapi.problems import problems

router = APIRouter(prefix="/health", tags=["operations"])


class Health(BaseModel):
    """Says no more than a load balancer needs."""

    status: Literal["ok"] = "ok"


@router.get("/live", summary="Does the process run?", response_description="It does.")
async def live() -> Health:
    """Answers as long as the process does, whatever becomes of the database."""
    return Health()


@router.get(
    "/ready",
    summary="Can it serve?",
    response_description="It can.",
    responses=problems(503),
)
async def ready(service: ServiceDep) -> Health:
    """Asks the database, on the connections by which tokens are looked up and on the others."""
    await service.check()
    return Health()
