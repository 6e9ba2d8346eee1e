"""Whether the service runs, and whether it can do its work."""

from fastapi import APIRouter

from api.dependencies import ServiceDep
from api.openapi.problems import problems
from schemas.health import Health

router = APIRouter(prefix="/health", tags=["operations"])


@router.get("/live", summary="Liveness", response_description="The process runs.")
async def live() -> Health:
    """Answers as long as the process runs, whether or not the database is available."""
    return Health()


@router.get(
    "/ready",
    summary="Readiness",
    response_description="The service can answer requests.",
    responses=problems(503),
)
async def ready(service: ServiceDep) -> Health:
    """Checks the database, on the connections for token lookups and on those of the pool."""
    await service.check()
    return Health()
