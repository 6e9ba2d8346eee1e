"""Puts the console together: an application of its own below /console, with errors for people."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

from api.console import errors, rendering
from api.console.pages import account, api_keys, events, overview, sessions, sign_in, users

_YEAR_SECONDS = 31_536_000


def install(app: FastAPI) -> None:
    """Serve /console. It shares the state of the application, and is not in its description."""
    console = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    console.state = app.state
    errors.install(console)
    for pages in (sign_in, overview, users, sessions, events, account, api_keys):
        console.include_router(pages.router)
    console.mount("/static", _Files(directory=rendering.STATIC))
    app.mount("/console", console)

    @app.get("/console", include_in_schema=False)
    async def add_slash(request: Request) -> RedirectResponse:
        return RedirectResponse(rendering.link(request, "/"))


class _Files(StaticFiles):
    """Files whose addresses change when they do."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = f"public, max-age={_YEAR_SECONDS}, immutable"
        return response
