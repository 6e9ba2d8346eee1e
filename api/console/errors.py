"""Says to people what was refused and what they can do now."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api import errors as api_errors
from api.console import cookies, csrf, forms
from api.console.csrf import ForeignForm
from api.console.forms import PasswordNeeded, UnreadableForm
from api.console.rendering import own_address, page, redirect
from api.console.visitors import SignInRequired
from api.middleware import request_id
from counterfoil.errors import CounterfoilError, DatabaseUnavailable, InvalidToken
from counterfoil.problems import RETRY_AFTER

log = logging.getLogger("counterfoil.errors")

_FOREIGN = (
    "This form did not come from a page of this console, or the page was opened before you signed "
    "in anew. Nothing was changed. Go back, reload the page and try again."
)
_TITLES = {
    HTTPStatus.NOT_FOUND: "There is nothing here",
    HTTPStatus.FORBIDDEN: "You may not do this",
    HTTPStatus.CONFLICT: "That cannot be done",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many attempts",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not available at the moment",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong on our side",
}


def install(console: FastAPI) -> None:
    """Let this module answer for everything that goes wrong below /console."""
    console.exception_handler(SignInRequired)(_sign_in)
    console.exception_handler(PasswordNeeded)(_ask_password)
    console.exception_handler(ForeignForm)(_foreign)
    console.exception_handler(UnreadableForm)(_unreadable)
    console.exception_handler(InvalidToken)(_ended_meanwhile)
    console.exception_handler(CounterfoilError)(_refused)
    console.exception_handler(DatabaseUnavailable)(_unavailable)
    console.exception_handler(RequestValidationError)(_no_such_address)
    console.exception_handler(HTTPException)(_http)
    console.exception_handler(Exception)(_unexpected)


def status_of(error: CounterfoilError) -> HTTPStatus:
    """As for the API, but a browser is sent no challenge, and 401 would demand one."""
    status = api_errors.status_of(error)
    return HTTPStatus.FORBIDDEN if status is HTTPStatus.UNAUTHORIZED else status


def headers_of(error: CounterfoilError) -> dict[str, str]:
    """As for the API, without the challenge."""
    headers = api_errors.headers_of(error)
    return {name: value for name, value in headers.items() if name != "WWW-Authenticate"}


def show(
    request: Request,
    status: HTTPStatus,
    detail: str,
    headers: dict[str, str] | None = None,
    title: str | None = None,
) -> Response:
    """The page of an error."""
    return page(
        request,
        "error.html",
        status=status,
        headers=headers,
        title=title or _TITLES.get(status, "That did not work"),
        detail=detail,
        request_number=request_id.get(),
    )


async def _sign_in(request: Request, error: SignInRequired) -> Response:
    is_get = request.method == "GET"
    if is_get and request.headers.get("sec-fetch-site") == "cross-site":
        # A strict cookie stays at home when another site links here. From this page it is sent.
        return page(request, "arriving.html", address=own_address(request))
    notice = "session-over" if error.was_signed_in else None
    next_page = own_address(request) if is_get else None
    response = redirect(request, "/sign-in", notice=notice, next=next_page)
    cookies.clear(request, response, cookies.SESSION)
    return response


async def _ask_password(request: Request, error: PasswordNeeded) -> Response:
    kept = [pair for pair in error.form.pairs if pair[0] not in {csrf.FIELD, forms.CONFIRMATION}]
    return page(
        request,
        "confirm.html",
        status=HTTPStatus.FORBIDDEN,
        fields=kept,
        deed=error.deed,
        error=error.error and error.error.detail,
        action=own_address(request),
        confirmation_field=forms.CONFIRMATION,
    )


async def _foreign(request: Request, error: ForeignForm) -> Response:
    log.warning("a form from elsewhere was refused at %s", own_address(request))
    return show(request, HTTPStatus.FORBIDDEN, _FOREIGN, title="This form was refused")


async def _unreadable(request: Request, error: UnreadableForm) -> Response:
    return show(request, HTTPStatus.BAD_REQUEST, "What was sent cannot be read as a form.")


async def _ended_meanwhile(request: Request, error: InvalidToken) -> Response:
    """The session ended between the lookup of its token and what was to be done in it."""
    return await _sign_in(request, SignInRequired(was_signed_in=True))


async def _refused(request: Request, error: CounterfoilError) -> Response:
    return show(request, status_of(error), error.detail, headers=headers_of(error))


async def _unavailable(request: Request, error: Exception) -> Response:
    log.warning("database unavailable: %s", error)
    detail = "The database cannot be reached. Nothing was shown or changed; try again shortly."
    return show(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=RETRY_AFTER)


async def _no_such_address(request: Request, error: RequestValidationError) -> Response:
    return show(request, HTTPStatus.NOT_FOUND, "This address does not lead to a page.")


async def _http(request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.NOT_FOUND:
        return await _no_such_address(request, RequestValidationError([]))
    detail = f"{status.description or status.phrase}."
    return show(request, status, detail, headers=dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    detail = "The log has the details, under the number below."
    return show(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)
