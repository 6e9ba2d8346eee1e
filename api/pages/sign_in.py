"""Pages that sign a user in, which begins a session in a cookie, and out."""

import contextlib
import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from api.dependencies import OriginDep, ServiceDep, SessionDep, origin_of, service_of
from api.pages import starting_form
from api.web import arrival, cookies, errors, proofs
from api.web.forms import Form, FormDep, UncheckedForm
from api.web.rendering import redirect, translate
from api.web.signed_in_user import SignedInRevoker, SignedInUser, find_signed_in_user
from authentication.audit import Origin
from authentication.credentials import sessions
from authentication.credentials.issuance import TokenPair
from authentication.errors import (
    InvalidCode,
    InvalidCredentials,
    NotFound,
    SecondFactorRequired,
    TotpUnavailable,
)
from authentication.factors.methods import Method
from authentication.factors.proofs import Proof
from authentication.grants import console as console_grant
from authentication.grants import passkey as passkey_grant
from authentication.grants import second_factor
from authentication.grants.passkey import PasskeyLogin
from authentication.service import Service
from authentication.settings import Registration as Mode
from counterfoil.errors import CounterfoilError
from counterfoil.identity import SessionKind
from database import limits

router = APIRouter()

HOME = "/account"

# Where to go after signing in: a page of ours, never another site.
_NEXT = re.compile(
    r"/(account|authorize|console|device)(/[A-Za-z0-9_-]*)*(\?[A-Za-z0-9/_=&.%:+~@-]*)?", re.ASCII
)

SignedInUserOrNone = Annotated[SignedInUser | None, Depends(find_signed_in_user)]


@router.get("/sign-in")
async def show_sign_in(request: Request, user: SignedInUserOrNone) -> Response:
    """The sign-in form. A user who is signed in is redirected, unless they are to sign in again."""
    next_page = request.query_params.get("next", "")
    if user is not None and "again" not in request.query_params:
        return redirect(request, _safe(next_page))
    if arrival.is_from_another_site(request):
        return arrival.reload(request)
    return _show(request, next_page, request.query_params.get("username", ""))


@router.post("/sign-in")
async def sign_in(
    request: Request,
    form: UncheckedForm,
    user: SignedInUserOrNone,
    service: ServiceDep,
    origin: OriginDep,
) -> Response:
    """Begin a session by a password."""
    name, next_page = form.text("username").strip(), form.text("next")
    starting_form.check(request, form)
    try:
        pair = await _log_in(service, form, name, origin)
    except SecondFactorRequired as error:
        return _ask(request, error.mfa_token or "", error.methods, next_page)
    except CounterfoilError as error:
        return _show(request, next_page, name, error)
    return await enter(request, pair, user, next_page)


@router.post("/sign-in/second-factor")
async def give_second_factor(
    request: Request,
    form: UncheckedForm,
    user: SignedInUserOrNone,
    service: ServiceDep,
    origin: OriginDep,
) -> Response:
    """Begin the session of somebody whose password was right."""
    starting_form.check(request, form)
    mfa_token, next_page = form.text("mfa_token"), form.text("next")
    proof = proofs.read(form.text) or Proof()
    try:
        pair = await second_factor.complete(
            service, mfa_token, proof, origin=origin, kind=SessionKind.CONSOLE
        )
    except (InvalidCode, TotpUnavailable) as error:
        return _ask(request, mfa_token, form.texts("method"), next_page, error)
    except CounterfoilError as error:
        return _show(request, next_page, error=error)
    return await enter(request, pair, user, next_page)


@router.post("/sign-in/passkey")
async def sign_in_by_passkey(
    request: Request,
    form: UncheckedForm,
    user: SignedInUserOrNone,
    service: ServiceDep,
    origin: OriginDep,
) -> Response:
    """Begin a session by a passkey alone."""
    starting_form.check(request, form)
    next_page = form.text("next")
    login = PasskeyLogin(
        proofs.read_assertion(form.text("passkey")),
        client_id=console_grant.CLIENT_ID,
        session_kind=SessionKind.CONSOLE,
    )
    lifetimes = console_grant.lifetimes(service.settings)
    try:
        pair = await passkey_grant.log_in(service, login, origin=origin, settings=lifetimes)
    except CounterfoilError as error:
        return _show(request, next_page, error=error)
    return await enter(request, pair, user, next_page)


@router.post("/sign-out")
def sign_out(request: Request, form: FormDep, actor: SignedInRevoker, db: SessionDep) -> Response:
    """Revoke the session, so that copies of the cookie become invalid too."""
    sessions.log_out(db, actor.identity, origin=actor.origin)
    response = redirect(request, "/sign-in", notice="signed-out")
    cookies.clear(request, response, cookies.SESSION)
    return response


async def enter(
    request: Request, pair: TokenPair, previous: SignedInUser | None, next_page: str
) -> Response:
    """Go on with a session that has just begun, and revoke the one that the browser had before."""
    if previous is not None:
        await _revoke(service_of(request), previous, origin_of(request))
    response = redirect(request, _safe(next_page))
    cookies.write(request, response, cookies.SESSION, pair.access_token)
    cookies.clear(request, response, cookies.SIGN_IN)
    return response


async def _log_in(service: Service, form: Form, name: str, origin: Origin) -> TokenPair:
    password = form.text("password")
    if (
        not 0 < len(name) <= limits.MAX_STORED_EMAIL_LENGTH
        or not 0 < len(password) <= limits.MAX_PASSWORD_LENGTH
    ):
        raise InvalidCredentials
    return await console_grant.begin(service, name, password, origin=origin)


async def _revoke(service: Service, user: SignedInUser, origin: Origin) -> None:
    origin = origin.acting_as(user.identity.actor)
    with contextlib.suppress(NotFound):
        await service.database.run(lambda db: sessions.log_out(db, user.identity, origin=origin))


def _ask(
    request: Request,
    mfa_token: str,
    methods: Sequence[str],
    next_page: str,
    error: CounterfoilError | None = None,
) -> Response:
    """The page that asks for the second factor."""
    return starting_form.show(
        request,
        "second_factor.html",
        **_answer(request, error),
        mfa_token=mfa_token,
        methods=[method for method in Method if method in methods],
        next_page=next_page,
    )


def _safe(next_page: str) -> str:
    return next_page if _NEXT.fullmatch(next_page) else HOME


def _show(
    request: Request, next_page: str, username: str = "", error: CounterfoilError | None = None
) -> Response:
    return starting_form.show(
        request,
        "sign_in.html",
        **_answer(request, error),
        may_register=request.app.state.settings.authentication.registration is not Mode.OFF,
        next_page=next_page,
        username=username,
    )


def _answer(request: Request, error: CounterfoilError | None) -> dict[str, Any]:
    """Status, headers and text of a page that shows this error."""
    if error is None:
        return {"error": None}
    return {
        "status": errors.status_of(error),
        "headers": errors.headers_of(error),
        "error": translate(request, error.detail),
    }
