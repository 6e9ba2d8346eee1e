"""Renders templates into responses, with the headers, links and notices common to all pages."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request, Response
from jinja2 import Environment

from api.request import prefix
from api.web import cookies, csrf
from api.web.formatting import Formatter
from api.web.signed_in_user import SignedInUser
from authentication import languages

STATIC = Path(__file__).parent / "static"
STATIC_PATH = "/account/static"

_SHARED = Path(__file__).parent / "templates"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    # With no-referrer, browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}


@dataclass(frozen=True)
class Templates:
    """A directory of templates, in addition to the shared ones. English if not translated."""

    directory: Path
    is_translated: bool = False


def page(
    request: Request,
    template: str,
    *,
    status: int = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
    **context: Any,
) -> Response:
    """A page for the signed-in user, if any, with the notice that the last form left."""
    user: SignedInUser | None = getattr(request.state, "signed_in_user", None)
    templates: Templates = request.app.templates
    language = language_of(request)
    html = (
        _environment(templates.directory, language)
        .get_template(template)
        .render(
            language=language,
            brand=request.app.state.brand,
            signed_in_user=user,
            has_mail=request.app.state.settings.mail.is_on,
            has_console=request.app.state.settings.api.console,
            has_pages=request.app.state.settings.api.pages,
            here=own_address(request),
            link=lambda path, **query: link(request, path, **query),
            asset=lambda name: link(request, f"{STATIC_PATH}/{name}", v=_version(name)),
            csrf_field=csrf.FIELD,
            csrf_token=lambda: csrf.token(user.token) if user else "",
            notice=_formatter(language).notice(cookies.read(request, cookies.NOTICE)),
            **context,
        )
    )
    headers = {**HEADERS, **(headers or {})}
    response = Response(html, status, headers=headers, media_type="text/html")
    cookies.clear(request, response, cookies.NOTICE)
    return response


def redirect(
    request: Request,
    path: str,
    *,
    notice: str | None = None,
    count: int | None = None,
    **query: Any,
) -> Response:
    """303 to a page, so that the browser gets it. `notice` is a key of formatting.NOTICES."""
    headers = {**HEADERS, "Location": link(request, path, **query)}
    response = Response(status_code=HTTPStatus.SEE_OTHER, headers=headers)
    if notice is not None:
        text = notice if count is None else f"{notice}.{count}"
        cookies.write(request, response, cookies.NOTICE, text)
    return response


def link(request: Request, path: str, **query: Any) -> str:
    """A path of the service, below the path of the issuer if it has one (behind a proxy)."""
    issuer = request.app.state.settings.api.issuer
    known = {name: value for name, value in query.items() if value not in (None, "")}
    address = prefix.public(issuer, request.scope.get("root_path", "")) + path
    return address + (f"?{urlencode(known)}" if known else "")


def own_address(request: Request) -> str:
    """The path and query of this request, as `link` takes them."""
    query = request.scope["query_string"].decode("latin-1")
    return own_path(request) + (f"?{query}" if query else "")


def own_path(request: Request) -> str:
    """The path of this request, as `link` takes it. For logs, because a query may hold secrets."""
    return quote(prefix.path_of(request.scope))


def language_of(request: Request) -> str:
    """That of the browser, where there are translations."""
    if not request.app.templates.is_translated:
        return languages.DEFAULT
    return languages.negotiate(request.headers.get("accept-language", ""))


def translate(request: Request, text: str) -> str:
    """The message of an error in the language of the page. It may contain a number."""
    return _formatter(language_of(request)).message(text)


@cache
def _formatter(language: str) -> Formatter:
    return Formatter(languages.translations(language).gettext)


@cache
def _environment(directory: Path, language: str) -> Environment:
    environment = languages.templates((directory, _SHARED), language)
    environment.filters.update(_formatter(language).filters)
    return environment


@cache
def _version(name: str) -> str:
    """A digest of a static file. It changes with the file, so browsers can cache the file."""
    return sha256((STATIC / name).read_bytes()).hexdigest()[:12]
