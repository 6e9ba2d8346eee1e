"""Assembles the pages for people: signing in, their own account, and the links in mails."""

from pathlib import Path

from fastapi import FastAPI

from api.pages import (
    account,
    addresses,
    api_keys,
    authorize,
    brand,
    device,
    factors,
    links,
    passwords,
    profile,
    register,
    sign_in,
)
from api.request.static_files import CachedFiles
from api.settings import ApiSettings
from api.web import rendering
from api.web.rendering import Templates
from api.web.site import Site
from authentication.settings import Registration

TEMPLATES = Templates(Path(__file__).parent / "templates", is_translated=True)


def install(app: FastAPI) -> None:
    """Add the pages that the settings demand to the service."""
    settings = app.state.settings
    pages = Site(app, TEMPLATES)
    links.install(pages)
    nouns = [brand]
    if settings.mail.is_on:
        nouns += [passwords, addresses]
    if settings.api.pages:
        nouns += [sign_in, account, profile, factors, api_keys, authorize, device]
        if settings.authentication.registration is not Registration.OFF:
            nouns.append(register)
    pages.add([noun.router for noun in nouns])
    pages.mount(rendering.STATIC_PATH, CachedFiles(directory=rendering.STATIC))
    pages.serve(app, *_paths(settings.api))


def _paths(settings: ApiSettings) -> list[str]:
    own = ["/sign-in", "/sign-in/{path:path}", "/sign-out", "/account"] if settings.pages else []
    decisions = [*authorize.PATHS, *device.PATHS] if settings.pages else []
    return [*own, *decisions, "/account/{path:path}"]
