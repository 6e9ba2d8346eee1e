"""Pages that sign a user in, which begins a console session in a cookie, and out."""

import contextlib
import re
import secrets
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.console import cookies, csrf, errors, forms
from api.console.forms import Form, FormDep
from api.console.rendering import page, redirect
from api.console.signed_in_user import (
    ConsoleRevoker,
    SignedInUser,
    find_signed_in_user,
)
from api.dependencies import OriginDep, ServiceDep, SessionDep
from authentication.audit import Origin
from authentication.credentials import sessions
from authentication.errors import InvalidCredentials, NotFound
from authentication.grants import console as console_grant
from authentication.service import Service
from counterfoil.errors import CounterfoilError
from database import limits

router = APIRouter()

# Where to go after signing in: a path within the console, never another site.
_NEXT = re.compile(r"/[A-Za-z0-9/_-]*(\?[A-Za-z0-9/_=&.%:+~@-]*)?", re.ASCII)
_NO_COOKIE = (
    "Your browser did not send back the cookie of this page. Allow cookies for this site, reload "
    "and try again. (Over plain HTTP, some browsers keep none: use HTTPS.)"
)

SignedInUserOrNone = Annotated[SignedInUser | None, Depends(find_signed_in_user)]


@router.get("/sign-in")
async def show_sign_in(request: Request, user: SignedInUserOrNone) -> Response:
    """The sign-in form. A user who is signed in already is redirected."""
    if user is not None:
        return redirect(request, "/")
    return _show(request, next_page=request.query_params.get("next", ""))


@router.post("/sign-in")
async def sign_in(
    request: Request, user: SignedInUserOrNone, service: ServiceDep, origin: OriginDep
) -> Response:
    """Begin a session, and revoke the one that the browser had before."""
    form = await forms.read(request)
    name, next_page = form.text("username").strip(), form.text("next")
    key = cookies.read(request, cookies.SIGN_IN)
    if key is None:
        return _show(request, next_page, name, _NO_COOKIE, HTTPStatus.FORBIDDEN)
    csrf.check(request, key, form.text(csrf.FIELD))
    try:
        token = await _begin(service, form, name, origin)
    except CounterfoilError as error:
        status, headers = errors.status_of(error), errors.headers_of(error)
        return _show(request, next_page, name, error.detail, status, headers)
    if user is not None:
        await _revoke(service, user, origin)
    response = redirect(request, next_page if _NEXT.fullmatch(next_page) else "/")
    cookies.write(request, response, cookies.SESSION, token)
    cookies.clear(request, response, cookies.SIGN_IN)
    return response


@router.post("/sign-out")
def sign_out(request: Request, form: FormDep, actor: ConsoleRevoker, db: SessionDep) -> Response:
    """Revoke the session, so that copies of the cookie become invalid too."""
    sessions.log_out(db, actor.identity, origin=actor.origin)
    response = redirect(request, "/sign-in", notice="signed-out")
    cookies.clear(request, response, cookies.SESSION)
    return response


async def _begin(service: Service, form: Form, name: str, origin: Origin) -> str:
    password = form.text("password")
    if (
        not 0 < len(name) <= limits.MAX_STORED_EMAIL_LENGTH
        or not 0 < len(password) <= limits.MAX_PASSWORD_LENGTH
    ):
        raise InvalidCredentials
    pair = await console_grant.begin(service, name, password, origin=origin)
    return pair.access_token


async def _revoke(service: Service, user: SignedInUser, origin: Origin) -> None:
    origin = origin.acting_as(user.identity.actor)
    with contextlib.suppress(NotFound):
        await service.database.run(lambda db: sessions.log_out(db, user.identity, origin=origin))


def _show(
    request: Request,
    next_page: str,
    username: str = "",
    error: str | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
) -> Response:
    """The sign-in form. Its CSRF token belongs to a separate cookie, as there is no session yet."""
    key = cookies.read(request, cookies.SIGN_IN) or secrets.token_urlsafe(32)
    response = page(
        request,
        "sign_in.html",
        status=status,
        headers=headers,
        sign_in_token=csrf.token(key),
        next_page=next_page,
        username=username,
        error=error,
    )
    cookies.write(request, response, cookies.SIGN_IN, key)
    return response
