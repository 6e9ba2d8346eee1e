"""Assembles the console: web pages for administrators, at /console."""

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse

from api.console.pages import (
    accounts,
    api_keys,
    clients,
    events,
    exports,
    outbox,
    overview,
    roles,
    sessions,
    users,
)
from api.web import rendering
from api.web.rendering import Templates
from api.web.site import Site

TEMPLATES = Templates(Path(__file__).parent / "templates")

_former = APIRouter()


def install(app: FastAPI) -> None:
    """Add the console to the service. Its users sign in by the pages of api/pages."""
    console = Site(app, TEMPLATES)
    nouns = [overview, users, accounts, api_keys, roles, sessions, clients, events, exports]
    if app.state.settings.mail.is_on:
        nouns.append(outbox)
    console.add([noun.router for noun in nouns], prefix="/console")
    console.add([_former])
    console.serve(app, "/console", "/console/{path:path}")


@_former.get("/console")
async def add_slash(request: Request) -> RedirectResponse:
    """The console's first page has a slash at its end."""
    return RedirectResponse(rendering.link(request, "/console/"))


@_former.get("/console/sign-in")
async def show_sign_in(request: Request) -> RedirectResponse:
    """Where people signed in to the console before it shared the page with all others."""
    return RedirectResponse(rendering.link(request, "/sign-in", next="/console/"))
