"""A part of the service that consists of web pages, as a FastAPI application of its own."""

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI
from starlette.routing import Route

from api.routing.head import answer_head
from api.web import errors
from api.web.rendering import Templates


class Site(FastAPI):
    """Shares the state of the service's application, and is not in its OpenAPI schema.

    Its errors are pages, and those of the API are not.
    """

    def __init__(self, service: FastAPI, templates: Templates) -> None:
        super().__init__(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
        self.state = service.state
        self.templates = templates
        errors.install(self)

    def add(self, routers: Iterable[APIRouter], prefix: str = "") -> None:
        """Add routes, which answer HEAD as well."""
        for router in routers:
            answer_head(router.routes)
            self.include_router(router, prefix=prefix)

    def serve(self, service: FastAPI, *paths: str) -> None:
        """Have the service pass the requests for these paths on, which stay as they are."""
        service.router.routes.extend(Route(path, self) for path in paths)
