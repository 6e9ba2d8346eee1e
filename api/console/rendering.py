"""Renders templates into responses, with the headers, links and notices common to all pages."""

from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.console import cookies, csrf, formatting
from api.console.signed_in_user import SignedInUser
from api.request import prefix

STATIC = Path(__file__).parent / "static"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    # With no-referrer, browsers send `Origin: null` with the console's own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(formatting.FILTERS)


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
    html = _ENVIRONMENT.get_template(template).render(
        signed_in_user=user,
        has_mail=request.app.state.settings.mail.is_on,
        forgot_password=_forgot_password(request),
        here=own_address(request),
        link=lambda path, **query: link(request, path, **query),
        asset=lambda name: f"{link(request, '/static/' + name)}?v={_version(name)}",
        csrf_field=csrf.FIELD,
        csrf_token=lambda: csrf.token(user.token) if user else "",
        notice=formatting.notice(cookies.read(request, cookies.NOTICE)),
        **context,
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
    """The path of a page, below the path of the issuer if it has one (behind a proxy)."""
    issuer = request.app.state.settings.api.issuer
    mounted_at = request.scope["root_path"].removesuffix("/console")
    known = {name: value for name, value in query.items() if value not in (None, "")}
    address = f"{prefix.public(issuer, mounted_at)}/console{path}"
    return address + (f"?{urlencode(known)}" if known else "")


def _forgot_password(request: Request) -> str | None:
    """Our page for those who have forgotten their password, where there is mail."""
    if not request.app.state.settings.mail.is_on:
        return None
    return link(request, "").removesuffix("/console") + "/account/forgot-password"


def own_address(request: Request) -> str:
    """The path and query of this request, as `link` takes them."""
    query = request.scope["query_string"].decode("latin-1")
    return own_path(request) + (f"?{query}" if query else "")


def own_path(request: Request) -> str:
    """The path of this request, as `link` takes it. For logs, because a query may hold secrets."""
    return quote(prefix.path_of(request.scope))


@cache
def _version(name: str) -> str:
    """A digest of a static file. It changes with the file, so browsers can cache the file."""
    return sha256((STATIC / name).read_bytes()).hexdigest()[:12]
