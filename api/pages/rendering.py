"""Renders the pages in the language of the request, with headers that keep their links secret."""

import re
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.dependencies import service_of
from api.request import prefix
from authentication import languages

_NUMBER = re.compile(r"\d[\d,]*")

STATIC = Path(__file__).parent / "static"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    # The address of a page holds the token of its link.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Accept-Language",
}


def page(
    request: Request,
    template: str,
    *,
    status: int = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
    **context: Any,
) -> Response:
    """A page."""
    language = languages.negotiate(request.headers.get("accept-language", ""))
    html = (
        _environment(language)
        .get_template(template)
        .render(
            language=language,
            application=service_of(request).mailing.letters.application,
            link=lambda path: link(request, path),
            sign_in=_sign_in(request),
            asset=lambda name: f"{link(request, '/static/' + name)}?v={_version(name)}",
            **context,
        )
    )
    headers = {**HEADERS, **(headers or {})}
    return Response(html, status, headers=headers, media_type="text/html")


def redirect(request: Request, path: str) -> Response:
    """303 to a page whose address holds no token, and which can be reloaded."""
    headers = {**HEADERS, "Location": link(request, path)}
    return Response(status_code=HTTPStatus.SEE_OTHER, headers=headers)


def link(request: Request, path: str) -> str:
    """The path of a page, below the path of the issuer if it has one (behind a proxy)."""
    return f"{_prefix(request)}/account{path}"


def translate(request: Request, text: str) -> str:
    """The message of an error in the language of the request. It may contain a number."""
    language = languages.negotiate(request.headers.get("accept-language", ""))
    number = _NUMBER.search(text)
    pattern = _NUMBER.sub("{number}", text, count=1)
    translated = languages.translations(language).gettext(pattern)
    return translated.replace("{number}", number[0] if number else "")


def _prefix(request: Request) -> str:
    issuer = request.app.state.settings.api.issuer
    return prefix.public(issuer, request.scope["root_path"].removesuffix("/account"))


def _sign_in(request: Request) -> str | None:
    """Where to go with a new password, if there is a page of ours for that."""
    has_console = request.app.state.settings.api.console
    return f"{_prefix(request)}/console/sign-in" if has_console else None


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(  # type: ignore[attr-defined]
        languages.translations(language), newstyle=True
    )
    return environment


@cache
def _version(name: str) -> str:
    """A digest of a static file. It changes with the file, so browsers can cache the file."""
    return sha256((STATIC / name).read_bytes()).hexdigest()[:12]
