"""Assembles the console: a FastAPI application of its own, mounted at /console."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

from api.console import errors, rendering
from api.console.pages import account, api_keys, events, overview, sessions, sign_in, users
from api.routing.head import answer_head

_YEAR_SECONDS = 31_536_000


def install(app: FastAPI) -> None:
    """Mount the console, which shares the application's state and is not in its OpenAPI schema."""
    console = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    console.state = app.state
    errors.install(console)
    for pages in (sign_in, overview, users, sessions, events, account, api_keys):
        answer_head(pages.router.routes)
        console.include_router(pages.router)
    console.mount("/static", _CachedFiles(directory=rendering.STATIC))
    app.mount("/console", console)

    @app.api_route("/console", methods=["GET", "HEAD"], include_in_schema=False)
    async def add_slash(request: Request) -> RedirectResponse:
        return RedirectResponse(rendering.link(request, "/"))


class _CachedFiles(StaticFiles):
    """Files that browsers keep for a year: a change of a file changes the URL that pages use."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = f"public, max-age={_YEAR_SECONDS}, immutable"
        return response
