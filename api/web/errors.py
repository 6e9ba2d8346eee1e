"""Turns errors into HTML pages that say what the user can do."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api import errors as api_errors
from api.dependencies import service_of
from api.middleware import request_id
from api.request.forms import InvalidForm, UnsupportedForm
from api.web import arrival, cookies, csrf, forms
from api.web.csrf import CookieMissing, CsrfCheckFailed
from api.web.forms import FormToConfirm
from api.web.messages import N_
from api.web.rendering import own_address, own_path, page, redirect, translate
from api.web.signed_in_user import SignedInUser, SignInRequired, signed_in_actor_of
from authentication.errors import SecondFactorRequired, WrongCode, WrongPassword
from authentication.factors import confirmation, listing
from authentication.factors.methods import Method
from authentication.factors.passkeys.options import Options
from counterfoil.errors import (
    CounterfoilError,
    DatabaseUnavailable,
    InsufficientScope,
    InsufficientUserAuthentication,
    InvalidToken,
)
from counterfoil.problems import RETRY_AFTER, log_unavailable

log = logging.getLogger("counterfoil.errors")

_CSRF_CHECK_FAILED = N_(
    "This form did not come from a page of this site, or the page was opened before you last "
    "signed in. Nothing was changed. Go back, reload the page and try again."
)
_COOKIE_MISSING = N_(
    "Your browser did not send back the cookie of this page. Allow cookies for this site, reload "
    "and try again. (Over plain HTTP, some browsers keep none: use HTTPS.)"
)
_REJECTED = N_("This form was rejected")
_DID_NOT_WORK = N_("That did not work")
_FACTOR_MISSING = N_(
    "One of your roles requires a second factor, and gives you nothing until you have one."
)
_TRY_AGAIN = N_("Nothing was shown or changed; try again shortly.")
_TITLES = {
    HTTPStatus.NOT_FOUND: N_("There is nothing here"),
    HTTPStatus.FORBIDDEN: N_("You may not do this"),
    HTTPStatus.CONFLICT: N_("That cannot be done"),
    HTTPStatus.TOO_MANY_REQUESTS: N_("Too many attempts"),
    HTTPStatus.SERVICE_UNAVAILABLE: N_("Not available at the moment"),
    HTTPStatus.INTERNAL_SERVER_ERROR: N_("Something went wrong on our side"),
}

_PROOFS = (WrongPassword, WrongCode, SecondFactorRequired)


def install(site: FastAPI) -> None:
    """Register a handler for every error that a page can raise."""
    site.exception_handler(SignInRequired)(_sign_in_required)
    for error in (InsufficientUserAuthentication, *_PROOFS):
        site.exception_handler(error)(_confirmation_required)
    site.exception_handler(CsrfCheckFailed)(_csrf_check_failed)
    site.exception_handler(InvalidForm)(_invalid_form)
    site.exception_handler(InvalidToken)(_session_revoked_meanwhile)
    site.exception_handler(InsufficientScope)(_scope_missing)
    site.exception_handler(CounterfoilError)(_counterfoil_error)
    site.exception_handler(DatabaseUnavailable)(_database_unavailable)
    site.exception_handler(RequestValidationError)(_not_found)
    site.exception_handler(HTTPException)(_http_error)
    site.exception_handler(Exception)(_unexpected)


def status_of(error: CounterfoilError) -> HTTPStatus:
    """The API's status, but 403 for 401, which demands a challenge (RFC 9110, 15.5.2).

    A browser would answer the challenge with a login dialog of its own.
    """
    status = api_errors.status_of(error)
    return HTTPStatus.FORBIDDEN if status is HTTPStatus.UNAUTHORIZED else status


def headers_of(error: CounterfoilError) -> dict[str, str]:
    """The API's headers without the challenge."""
    headers = api_errors.headers_of(error)
    return {name: value for name, value in headers.items() if name != "WWW-Authenticate"}


def show(
    request: Request,
    status: HTTPStatus,
    detail: str,
    headers: dict[str, str] | None = None,
    title: str | None = None,
    is_factor_missing: bool = False,
) -> Response:
    """The error page."""
    return page(
        request,
        "error.html",
        status=status,
        headers=headers,
        title=translate(request, title or _TITLES.get(status, _DID_NOT_WORK)),
        detail=translate(request, detail),
        request_number=request_id.get(),
        is_factor_missing=is_factor_missing,
    )


async def _sign_in_required(request: Request, error: SignInRequired) -> Response:
    if arrival.is_from_another_site(request):
        return arrival.reload(request)
    is_get = request.method in {"GET", "HEAD"}
    if not is_get and not csrf.is_same_origin(request):
        # Browsers send no cookie with a form of another site.
        return await _csrf_check_failed(request, CsrfCheckFailed())
    notice = "session-over" if error.was_signed_in else None
    next_page = own_address(request) if is_get else None
    response = redirect(request, "/sign-in", notice=notice, next=next_page)
    cookies.clear(request, response, cookies.SESSION)
    return response


async def _confirmation_required(request: Request, error: CounterfoilError) -> Response:
    """The form again, with the password or a second factor in it."""
    to_confirm: FormToConfirm | None = getattr(request.state, "form_to_confirm", None)
    if to_confirm is None:
        return await _counterfoil_error(request, error)
    try:
        methods, options = await _ways_to_confirm(request)
    except InvalidToken as over:
        return await _session_revoked_meanwhile(request, over)
    is_wrong = isinstance(error, WrongPassword | WrongCode)
    return page(
        request,
        "confirm.html",
        status=HTTPStatus.FORBIDDEN,
        fields=[field for field in to_confirm.form.fields if _is_kept(field[0])],
        action=translate(request, to_confirm.action),
        error=translate(request, error.detail) if is_wrong else None,
        form_address=own_address(request),
        prefix=forms.CONFIRMATION,
        methods=methods,
        options=options,
    )


async def _ways_to_confirm(request: Request) -> tuple[list[Method], Options | None]:
    """What the user can give in place of a password, and what a passkey has to sign."""
    service = service_of(request)
    actor = signed_in_actor_of(request, request.state.signed_in_user)
    methods = await confirmation.methods_of(service, actor)
    if Method.PASSKEY not in methods:
        return methods, None
    return methods, await confirmation.begin_passkey(service, actor)


def _is_kept(field: str) -> bool:
    """Whether the form is sent again with this field. Passwords are typed again."""
    return (
        field != csrf.FIELD
        and not field.startswith(forms.CONFIRMATION)
        and (not field.endswith("password"))
    )


async def _csrf_check_failed(request: Request, error: CsrfCheckFailed) -> Response:
    log.warning("the CSRF check of a form failed at %s", own_path(request))
    detail = _COOKIE_MISSING if isinstance(error, CookieMissing) else _CSRF_CHECK_FAILED
    return show(request, HTTPStatus.FORBIDDEN, detail, title=_REJECTED)


async def _invalid_form(request: Request, error: InvalidForm) -> Response:
    is_another_type = isinstance(error, UnsupportedForm)
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE if is_another_type else HTTPStatus.BAD_REQUEST
    return show(request, status, N_("What was sent cannot be read as a form."))


async def _session_revoked_meanwhile(request: Request, error: InvalidToken) -> Response:
    """The session was revoked after its token had been looked up for this request."""
    return await _sign_in_required(request, SignInRequired(was_signed_in=True))


async def _counterfoil_error(request: Request, error: CounterfoilError) -> Response:
    return show(request, status_of(error), error.detail, headers=headers_of(error))


async def _scope_missing(request: Request, error: InsufficientScope) -> Response:
    """Also says if it is missing because a role gives nothing without a second factor."""
    user: SignedInUser | None = getattr(request.state, "signed_in_user", None)
    detail = translate(request, error.detail)
    is_factor_missing = user is not None and await _lacks_factor(request, user.identity.user_id)
    if is_factor_missing:
        detail = f"{detail} {translate(request, _FACTOR_MISSING)}"
    return show(request, status_of(error), detail, is_factor_missing=is_factor_missing)


async def _lacks_factor(request: Request, user_id: int) -> bool:
    """Whether a role of the user requires a second factor, and there is none."""
    database = service_of(request).database
    found = await database.run(lambda db: listing.read(db, user_id), read_only=True)
    return found.is_missing


async def _database_unavailable(request: Request, error: DatabaseUnavailable) -> Response:
    log_unavailable(error)
    detail = f"{translate(request, error.detail)} {translate(request, _TRY_AGAIN)}"
    return show(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=RETRY_AFTER)


async def _not_found(request: Request, error: Exception) -> Response:
    return show(request, HTTPStatus.NOT_FOUND, N_("This address does not lead to a page."))


async def _http_error(request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.NOT_FOUND:
        return await _not_found(request, error)
    detail = f"{status.description or status.phrase}."
    return show(request, status, detail, headers=dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    detail = N_("The log has the details, under the number below.")
    return show(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)
