"""Assembles the pages: a FastAPI application of its own, mounted at /account."""

from fastapi import FastAPI

from api.pages import addresses, errors, passwords, rendering
from api.request.static_files import CachedFiles
from api.routing.head import answer_head

PATH = "/account"


def install(app: FastAPI) -> None:
    """Mount the pages, which share the application's state and are not in its OpenAPI schema."""
    pages = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    pages.state = app.state
    errors.install(pages)
    for module in (passwords, addresses):
        answer_head(module.router.routes)
        pages.include_router(module.router)
    pages.mount("/static", CachedFiles(directory=rendering.STATIC))
    app.mount(PATH, pages)
