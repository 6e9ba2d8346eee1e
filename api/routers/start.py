"""What the address of the service itself leads to, for a person who types it into a browser."""

from http import HTTPStatus

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse

from api.request import prefix
from api.settings import ApiSettings

router = APIRouter(include_in_schema=False)


@router.get("/")
async def lead(request: Request) -> RedirectResponse:
    """To the console, or else to the documentation; 404 where neither is served."""
    settings: ApiSettings = request.app.state.settings.api
    if not (settings.console or settings.docs):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    public = prefix.public(settings.issuer, request.scope.get("root_path", ""))
    return RedirectResponse(public + ("/console/" if settings.console else "/docs"))
