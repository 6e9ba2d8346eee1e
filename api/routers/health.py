"""Whether the service runs, and whether it can do its work."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from api.dependencies import ServiceDep
from api.openapi.problems import problems
from counterfoil.problems import RETRY_AFTER, problem
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
    response_model=Health,
    responses=problems(503),
)
async def ready(request: Request, service: ServiceDep) -> Health | Response:
    """Checks the database, on the connections for token lookups and on those of the pool.

    The answer is 503 as soon as the service has been told to stop, while it still serves.
    """
    if request.app.state.is_draining:
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "stopping",
            "The service is about to stop.",
            headers=RETRY_AFTER,
        )
    await service.check()
    return Health()
