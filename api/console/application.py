"""Assembles the console: a FastAPI application of its own, mounted at /console."""

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse

from api.console import errors, rendering
from api.console.pages import (
    account,
    accounts,
    api_keys,
    events,
    exports,
    outbox,
    overview,
    roles,
    sessions,
    sign_in,
    users,
)
from api.request.static_files import CachedFiles
from api.routing.head import answer_head


def install(app: FastAPI) -> None:
    """Mount the console, which shares the application's state and is not in its OpenAPI schema."""
    console = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    console.state = app.state
    errors.install(console)
    nouns = [
        sign_in,
        overview,
        users,
        accounts,
        roles,
        sessions,
        events,
        exports,
        account,
        api_keys,
    ]
    if app.state.settings.mail.is_on:
        nouns.append(outbox)
    for pages in nouns:
        answer_head(pages.router.routes)
        console.include_router(pages.router)
    console.mount("/static", CachedFiles(directory=rendering.STATIC))
    app.mount("/console", console)

    @app.api_route("/console", methods=["GET", "HEAD"], include_in_schema=False)
    async def add_slash(request: Request) -> RedirectResponse:
        return RedirectResponse(rendering.link(request, "/"))
